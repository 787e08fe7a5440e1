"""Names what each trial of an action's effect was of, so that asking the same again counts as no further look.

What figures of watching are is said in other words by now, too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0017"

WORDS = (
    ("monitoring_feature", "first_reason", sa.Double, "Share of the best list whose first reason it is"),
    ("monitoring_feature", "first_reason_before", sa.Double, "The same of the best list of a month ago"),
    (
        "monitoring_decision",
        "reasons_moved",
        sa.Double,
        "Share of first reasons of the best list that are others than then",
    ),
    (
        "alarm",
        "told_at",
        sa.DateTime,
        "When it was logged and handed to the orchestrator as an event, UTC; null until it is",
    ),
)


def upgrade() -> None:
    """Adds the column; earlier trials did not say of whom they were."""
    tried = "sha256 of what was tried: the same again is no new look"
    op.add_column("uplift", sa.Column("members_digest", sa.Text, comment=tried))
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        for table, column, kind, comment in WORDS:
            op.alter_column(table, column, existing_type=kind, comment=comment)
