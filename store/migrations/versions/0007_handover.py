"""Which lists left the house, so that none of them is ever altered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

TABLE = "handover"
ONLY_ADDED = f"rows of {TABLE} are only ever added"


def upgrade() -> None:
    """Makes the table, and closes it to all but additions."""
    _create()
    if op.get_context().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            refusal = f"BEGIN SELECT RAISE(ABORT, '{ONLY_ADDED}'); END"
            op.execute(f"CREATE TRIGGER {TABLE}_refuses_{change.lower()} BEFORE {change} ON {TABLE} {refusal}")
    else:
        each = "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        op.execute(f"CREATE TRIGGER {TABLE}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} {each}")


def _create() -> None:
    op.create_table(
        TABLE,
        sa.Column("contract", sa.Text, nullable=False, comment="Contract of the base"),
        sa.Column("as_of", sa.Date, nullable=False, comment="Date of the list"),
        sa.Column("run_id", sa.Text, nullable=False, comment="The run whose list it was"),
        sa.Column(
            "recorded_at", sa.DateTime, nullable=False, comment="When it first left, by the database's clock, UTC"
        ),
        sa.PrimaryKeyConstraint("contract", "as_of", "run_id"),
        comment="Every list that left for a dialler or a CRM, with its first departure; it is never altered since",
    )
