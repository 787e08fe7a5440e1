"""Finds what was written back of one customer at once, for whoever has him on the line."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0009"

TABLE = "intervention"


def upgrade() -> None:
    """Makes the index; without it a look-up reads all events of all customers."""
    op.create_index("intervention_by_customer", TABLE, ["contract", "customer_id", "occurred_at"])
