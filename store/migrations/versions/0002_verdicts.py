"""What the gate said of a challenger, who deleted a model, and a log of champions that nobody can rewrite."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ONLY_ADDED = ("alias_event", "verdict")
# Deleting a model gives its artifact up and keeps its row, whose digest says for ever what was champion.
NEVER_CHANGES = "contract, version, digest, registered_at"

POSTGRESQL_REFUSAL = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""


def upgrade() -> None:
    """Adds the table of verdicts and the columns, then closes what is a record to all but additions."""
    _create_verdict()
    _add_columns()
    if op.get_context().dialect.name == "sqlite":
        _close_in_sqlite()
    else:
        _close_in_postgresql()


def _create_verdict() -> None:
    op.create_table(
        "verdict",
        sa.Column("verdict", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they were given"),
        sa.Column("judged_at", sa.DateTime, nullable=False, comment="When, in UTC"),
        sa.Column("contract", sa.String(100), nullable=False, comment="Name of the contract"),
        sa.Column("version", sa.Integer, nullable=False, comment="The challenger that was judged"),
        sa.Column("segment", sa.String(100), nullable=False, comment="Segment whose place it wants, or all"),
        sa.Column("against_version", sa.Integer, comment="Champion it was compared with; null if there was none"),
        sa.Column("gate", sa.String(100), nullable=False, comment="Name of the gate: the policy that judged"),
        sa.Column("gate_digest", sa.String(64), nullable=False, comment="sha256 of the gate's text"),
        sa.Column("passed", sa.Boolean, nullable=False, comment="Whether it may become champion"),
        sa.Column("rule", sa.String(100), comment="The first rule that refused; null if it passed"),
        sa.Column("says", sa.Text, nullable=False, comment="What the gate found, with figures and intervals"),
        sa.ForeignKeyConstraint(["contract", "version"], ["model_version.contract", "model_version.version"]),
        comment="What the gate said of each challenger; rows are only ever added",
    )


def _add_columns() -> None:
    overridden = "The refusal of the gate that was overridden; null if there was none"
    op.add_column("alias_event", sa.Column("overridden", sa.Text, comment=overridden))
    given_up = "When the artifact was given up, in UTC; null while it is kept"
    op.add_column("model_version", sa.Column("deleted_at", sa.DateTime, comment=given_up))
    op.add_column("model_version", sa.Column("deleted_by", sa.String(200), comment="Person or flow that deleted it"))
    op.add_column("model_version", sa.Column("why_deleted", sa.Text, comment="The reason given"))


def _close_in_sqlite() -> None:
    for table in ONLY_ADDED:
        _refuse_in_sqlite("UPDATE", table)
        _refuse_in_sqlite("DELETE", table)
    _refuse_in_sqlite("DELETE", "model_version")
    _refuse_in_sqlite("UPDATE", "model_version", of=f"OF {NEVER_CHANGES}")


def _refuse_in_sqlite(change: str, table: str, of: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER {table}_refuses_{change.lower()} BEFORE {change} {of} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever added'); END"
    )


def _close_in_postgresql() -> None:
    op.execute(POSTGRESQL_REFUSAL)
    for table in ONLY_ADDED:
        _refuse_in_postgresql("UPDATE OR DELETE OR TRUNCATE", table)
    _refuse_in_postgresql("DELETE OR TRUNCATE", "model_version")
    _refuse_in_postgresql(f"UPDATE OF {NEVER_CHANGES}", "model_version")


def _refuse_in_postgresql(change: str, table: str) -> None:
    # A statement's trigger also refuses TRUNCATE, which has no rows to show.
    name = f"{table}_refuses_{change.split()[0].lower()}"
    op.execute(f"CREATE TRIGGER {name} BEFORE {change} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
