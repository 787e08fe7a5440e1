"""Keeps how often effects of actions were tried, and the gain that so many looks leave sure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0018"  # steps are named when they are planned, and chained as they land


def upgrade() -> None:
    """Adds the columns; earlier trials did not count their looks."""
    look = "How many times such effects were tried by then, this one counted"
    op.add_column("uplift", sa.Column("look", sa.BigInteger, comment=look))
    surely = "Gain that all looks together overstate once in 40 times"
    op.add_column("uplift", sa.Column("gained_surely", sa.Double, comment=surely))
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        scope = "wave, waves, or the champion's or challenger's share"
        op.alter_column("lift", "scope", existing_type=sa.Text, existing_nullable=False, comment=scope)
