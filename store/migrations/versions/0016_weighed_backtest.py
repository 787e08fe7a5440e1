"""Keeps by how many customers past nights count each churner, up to when they were known, and when people were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Adds the columns; of alarms that were raised before, people were told at the time."""
    squares = "Squares of the numbers of customers that churners stand for, their sum: churners where each is one"
    op.add_column("monitoring_backtest", sa.Column("squares", sa.Double, comment=squares))
    known = "Up to when the source told who left, business time"
    op.add_column("monitoring_backtest", sa.Column("known_at", sa.DateTime, comment=known))
    told = "When people and the orchestrator were told of it, UTC; null until they are"
    op.add_column("alarm", sa.Column("told_at", sa.DateTime, comment=told))
    op.execute("UPDATE alarm SET told_at = CURRENT_TIMESTAMP WHERE state = 'raised'")
