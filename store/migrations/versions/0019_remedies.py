"""Keeps with each alarm whether a retraining helps, which was read out of the words of its advice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0020"  # steps are named when they are planned, and chained as they land


def upgrade() -> None:
    """Adds the column; people look after alarms of earlier releases."""
    helps = "Whether a retraining helps, or people alone; null of an earlier release"
    op.add_column("alarm", sa.Column("remedy", sa.Text, comment=helps))
