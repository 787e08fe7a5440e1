"""Who may ask the service, how much of each limit is used, and a log of look-ups that nobody can rewrite."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

AUDIT = "lookup_audit"
ONLY_ADDED = f"rows of {AUDIT} are only ever added"


def upgrade() -> None:
    """Makes the three tables, and closes the log to all but additions."""
    _create_service_user()
    _create_rate_bucket()
    _create_lookup_audit()
    if op.get_context().dialect.name == "sqlite":
        _close_in_sqlite()
    else:
        each = "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        op.execute(f"CREATE TRIGGER {AUDIT}_refuses_update BEFORE UPDATE OR DELETE OR TRUNCATE ON {AUDIT} {each}")


def _create_service_user() -> None:
    op.create_table(
        "service_user",
        sa.Column("name", sa.String(64), primary_key=True, comment="Name that the person or program asks under"),
        sa.Column("role", sa.String(20), nullable=False, comment="agent, operator, analyst or service"),
        sa.Column("segments", sa.JSON, nullable=False, comment="Segments whose customers may be seen; empty for all"),
        sa.Column("regions", sa.JSON, nullable=False, comment="Regions whose customers may be seen; empty for all"),
        sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id hash of the password or secret"),
        sa.Column("created_at", sa.DateTime, nullable=False, comment="When, in UTC"),
        sa.Column("created_by", sa.String(200), nullable=False, comment="Who added the user"),
        sa.Column("disabled_at", sa.DateTime, comment="Since when no token is given, in UTC; null while it is"),
        sa.Column("disabled_by", sa.String(200), comment="Who disabled the user"),
        comment="Who may ask the service; a row is never deleted, since the log of look-ups names it",
    )


def _create_rate_bucket() -> None:
    busy_until = "When all that was asked so far is worked off, UTC"
    op.create_table(
        "rate_bucket",
        sa.Column("bucket", sa.String(200), primary_key=True, comment="What is limited, and whose it is"),
        sa.Column("busy_until", sa.DateTime, nullable=False, comment=busy_until),
        comment="How much of each limit is used; a row that is not there is a limit of which nothing is",
    )


def _create_lookup_audit() -> None:
    hidden = "Keyed hash of the customer; null where no single one was shown"
    op.create_table(
        AUDIT,
        sa.Column("entry", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they were written"),
        sa.Column("happened_at", sa.DateTime, nullable=False, comment="When, by the database's clock, UTC"),
        sa.Column("principal", sa.String(200), nullable=False, comment="Who asked"),
        sa.Column("purpose", sa.String(200), nullable=False, comment="What for, in the asker's words"),
        sa.Column("what", sa.String(40), nullable=False, comment="What was shown, or alarm"),
        sa.Column("customer", sa.String(64), comment=hidden),
        comment="Every look at a customer, written with the look itself; rows are only ever added",
    )
    op.create_index("lookup_audit_by_principal", AUDIT, ["principal", "happened_at"])
    op.create_index("lookup_audit_by_customer", AUDIT, ["customer"])


def _close_in_sqlite() -> None:
    refusal = f"SELECT RAISE(ABORT, '{ONLY_ADDED}')"
    for change in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {AUDIT}_refuses_{change.lower()} BEFORE {change} ON {AUDIT} BEGIN {refusal}; END")
    # INSERT OR REPLACE would delete the old row without a word to the trigger on deletion.
    known = "WHEN EXISTS (SELECT 1 FROM lookup_audit WHERE entry = NEW.entry)"
    op.execute(f"CREATE TRIGGER {AUDIT}_refuses_replacement BEFORE INSERT ON {AUDIT} {known} BEGIN {refusal}; END")
