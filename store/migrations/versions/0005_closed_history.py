"""A deleted model may be registered anew, no insertion replaces what happened, and no champion moves unrecorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# What SQLite's INSERT OR REPLACE would delete without a word to the triggers on deletion.
THE_SAME = {
    "alias_event": "SELECT 1 FROM alias_event WHERE event = NEW.event",
    "verdict": "SELECT 1 FROM verdict WHERE verdict = NEW.verdict",
    "model_version": (
        "SELECT 1 FROM model_version WHERE contract = NEW.contract AND (version = NEW.version OR "
        "digest = NEW.digest AND deleted_at IS NULL AND NEW.deleted_at IS NULL)"
    ),
}
CHAMPION_BY_HISTORY = (
    "(SELECT to_version FROM alias_event WHERE contract = NEW.contract AND segment = NEW.segment "
    "ORDER BY event DESC LIMIT 1)"
)
UNRECORDED = "a champion moves only with an event that says so"

POSTGRESQL_REFUSAL = f"""
    CREATE FUNCTION refuse_unrecorded_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.version IS DISTINCT FROM {CHAMPION_BY_HISTORY} THEN
            RAISE EXCEPTION '{UNRECORDED}' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    """Changes what is unique of a version, then closes the ways around the record."""
    if op.get_context().dialect.name == "sqlite":
        _allow_anew_in_sqlite()
        _close_in_sqlite()
    else:
        op.drop_constraint("model_version_contract_digest_key", "model_version")
        _allow_anew()
        _close_in_postgresql()


def _allow_anew() -> None:
    kept = sa.text("deleted_at IS NULL")
    op.create_index(
        "model_version_kept",
        "model_version",
        ["contract", "digest"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )


def _allow_anew_in_sqlite() -> None:
    """SQLite drops no constraint: the table is made again, and champions refer to it only once it is full again."""
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TEMPORARY TABLE kept_version AS SELECT * FROM model_version")
    op.execute("DROP TABLE model_version")
    _create_model_version()
    op.execute("INSERT INTO model_version SELECT * FROM kept_version")
    op.execute("DROP TABLE kept_version")
    _allow_anew()
    _refuse_in_sqlite("model_version", "delete", "BEFORE DELETE")
    _refuse_in_sqlite("model_version", "update", "BEFORE UPDATE OF contract, version, digest, registered_at")


def _create_model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("contract", sa.String(100), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("registered_at", sa.DateTime, nullable=False),
        sa.Column("deleted_at", sa.DateTime),
        sa.Column("deleted_by", sa.String(200)),
        sa.Column("why_deleted", sa.Text),
    )


def _close_in_sqlite() -> None:
    for table, is_the_same in THE_SAME.items():
        _refuse_in_sqlite(table, "replacement", "BEFORE INSERT", when=f"WHEN EXISTS ({is_the_same})")
    unrecorded = f"WHEN NEW.version IS NOT {CHAMPION_BY_HISTORY}"
    for change in ("insert", "update"):
        _refuse_in_sqlite("alias", change, f"AFTER {change}", when=unrecorded, told=UNRECORDED)
    _refuse_in_sqlite("alias", "delete", "BEFORE DELETE", told=UNRECORDED)


def _refuse_in_sqlite(table: str, what: str, change: str, *, when: str = "", told: str = "") -> None:
    refusal = told or f"rows of {table} are only ever added"
    op.execute(
        f"CREATE TRIGGER {table}_refuses_{what} {change} ON {table} {when} BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
    )


def _close_in_postgresql() -> None:
    op.execute(POSTGRESQL_REFUSAL)
    op.execute(
        "CREATE TRIGGER alias_refuses_unrecorded AFTER INSERT OR UPDATE ON alias "
        "FOR EACH ROW EXECUTE FUNCTION refuse_unrecorded_move()"
    )
    op.execute(
        "CREATE TRIGGER alias_refuses_delete BEFORE DELETE OR TRUNCATE ON alias "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
