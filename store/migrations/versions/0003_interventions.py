"""What teams wrote back of their contacts; what was written down is never rewritten."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0003"
down_revision = "0002"

TABLE = "intervention"


def upgrade() -> None:
    """Makes the table, and closes it to changes. A row may be deleted, as whoever asks to be forgotten must be."""
    _create()
    if op.get_context().dialect.name == "sqlite":
        refusal = "BEGIN SELECT RAISE(ABORT, 'rows of intervention are only ever added'); END"
        op.execute(f"CREATE TRIGGER {TABLE}_refuses_update BEFORE UPDATE ON {TABLE} {refusal}")
    else:
        each = "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        op.execute(f"CREATE TRIGGER {TABLE}_refuses_update BEFORE UPDATE OR TRUNCATE ON {TABLE} {each}")


def _create() -> None:
    op.create_table(
        TABLE,
        _column("contract", sa.Text, "Contract of the base"),
        _column("key", sa.Text, "The caller's own name for the event, unique within the contract"),
        _column("customer_id", sa.Text, "Key of the customer"),
        _column("as_of", sa.Date, "Date of the list that named the customer: the wave"),
        _column("action", sa.Text, "Action of the policy that was carried out"),
        _column("channel", sa.Text, "Channel of the contact, by the name that the policy has for it"),
        _column("team", sa.Text, "Team that made the contact"),
        _column("event", sa.Text, "What happened"),
        _column("agent", sa.Text, "Who made the contact"),
        _column("occurred_at", sa.DateTime, "When it happened, UTC"),
        _column("recorded_at", sa.DateTime, "When it was written down, by the database's clock, UTC"),
        sa.PrimaryKeyConstraint("contract", "key"),
        comment="Every event of a contact that a team wrote back; rows are only ever added",
    )
    op.create_index("intervention_by_wave", TABLE, ["contract", "as_of"])


def _column(name: str, kind: type[TypeEngine[Any]], comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)
