"""The database: its tables, derived from the schemas, and the views that are its stable face for BI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.sql.functions import FunctionElement

from churn.errors import StoreUnreachable
from schemas.columns import Column, LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES

FENCE = "fence"
IN_FLIGHT = ("claimed", "staged")
STATES = (*IN_FLIGHT, "published", "rejected", "abandoned")
CONNECT_SECONDS = 10
BUSY_SECONDS = 30
_LOCK = 0x636875726E  # "churn": the name of our one advisory lock in PostgreSQL
_HOURS_A_DAY = 24

metadata = sa.MetaData()

_TYPES: Mapping[LogicalType, type[sa.types.TypeEngine[Any]]] = {
    LogicalType.STRING: sa.Text,
    LogicalType.INTEGER: sa.BigInteger,
    LogicalType.NUMBER: sa.Double,
    LogicalType.BOOLEAN: sa.Boolean,
    LogicalType.DATE: sa.Date,
    LogicalType.TIMESTAMP: sa.DateTime,
}


def published_table(schema: Table) -> sa.Table:
    """The database's table for a schema's rows, of all runs; the fence of a row says which run loaded it."""
    fence = sa.Column(FENCE, sa.BigInteger, nullable=False, comment="Fence of the run that loaded the row")
    columns = (_column(column) for column in schema.columns)
    found_by = sa.Index(f"{schema.name}_by_run", FENCE, *(name for name in schema.primary_key if name != "as_of"))
    found_by.unique = bool(schema.primary_key)
    return sa.Table(schema.name, metadata, fence, *columns, found_by, comment=schema.description)


def _column(column: Column) -> sa.Column[Any]:
    unit = f" ({column.unit})" if column.unit else ""
    kind = _TYPES[column.logical_type]()
    return sa.Column(column.name, kind, nullable=not column.required, comment=f"{column.description}{unit}")


publication = sa.Table(
    "publication",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="Name of the run, and of its folder"),
    sa.Column("contract", sa.Text, nullable=False, comment="Contract of the base"),
    sa.Column("kind", sa.Text, nullable=False, comment="What is published: scores or outreach"),
    sa.Column("as_of", sa.Date, nullable=False, comment="Date that the rows describe"),
    sa.Column("known_at", sa.DateTime, nullable=False, comment="Moment up to which facts had arrived"),
    sa.Column("revision", sa.BigInteger, comment="1 for the night's first publication, 2 for a later, different one"),
    sa.Column("content_key", sa.Text, nullable=False, comment="Digest of all that decides the rows"),
    sa.Column("extract_digest", sa.Text, nullable=False, comment="Digest of the extract that the rows come from"),
    sa.Column(FENCE, sa.BigInteger, nullable=False, unique=True, comment="Grows with every claim; the youngest wins"),
    sa.Column("state", sa.Text, nullable=False, comment=f"One of {', '.join(STATES)}"),
    sa.Column("claimed_at", sa.DateTime, nullable=False, comment="When the run claimed the night, UTC"),
    sa.Column("lease_until", sa.DateTime, nullable=False, comment="When the claim lapses unless it is renewed, UTC"),
    sa.Column("published_at", sa.DateTime, comment="When readers began to see it, UTC"),
    sa.Column("rows", sa.BigInteger, comment="Rows of the run's first table"),
    sa.Column("manifest_sha256", sa.Text, comment="sha256 of the manifest of the run's files"),
    sa.Column("folder", sa.Text, comment="Folder of the run's files, below the lake"),
    sa.Column("reason", sa.Text, comment="Why the run was rejected or abandoned"),
    sa.Column("swept_at", sa.DateTime, comment="When what the ended run had left unpublished was removed, UTC"),
    sa.CheckConstraint(sa.column("state").in_(STATES), name="publication_state"),
    sa.Index(
        "publication_one_in_flight",
        "contract",
        "kind",
        "as_of",
        unique=True,
        sqlite_where=sa.column("state").in_(IN_FLIGHT),
        postgresql_where=sa.column("state").in_(IN_FLIGHT),
    ),
    comment="Every run that claimed a night, and what became of it",
)

night_pointer = sa.Table(
    "night_pointer",
    metadata,
    sa.Column("contract", sa.Text, primary_key=True, comment="Contract of the base"),
    sa.Column("kind", sa.Text, primary_key=True, comment="What is published: scores or outreach"),
    sa.Column("as_of", sa.Date, primary_key=True, comment="Date that the rows describe"),
    sa.Column("run_id", sa.Text, sa.ForeignKey("publication.run_id"), nullable=False, comment="The run to read"),
    sa.Column(FENCE, sa.BigInteger, nullable=False, comment="Fence of that run"),
    comment="For each night the run that readers see",
)

current_pointer = sa.Table(
    "current_pointer",
    metadata,
    sa.Column("contract", sa.Text, primary_key=True, comment="Contract of the base"),
    sa.Column("kind", sa.Text, primary_key=True, comment="What is published: scores or outreach"),
    sa.Column("as_of", sa.Date, nullable=False, comment="The newest published night"),
    sa.Column("run_id", sa.Text, sa.ForeignKey("publication.run_id"), nullable=False, comment="The run to read"),
    sa.Column(FENCE, sa.BigInteger, nullable=False, comment="Fence of that run"),
    comment="The run that readers of the current night see",
)

scores = published_table(SCORES)
quarantine = published_table(QUARANTINE)
outreach = published_table(OUTREACH)
statuses = published_table(STATUSES)

# The tables that a run of each kind loads; the first is the one whose rows are counted.
TABLES_OF: Mapping[str, tuple[sa.Table, ...]] = MappingProxyType(
    {"scores": (scores, quarantine), "outreach": (outreach, statuses)}
)


def engine_for(url: str) -> Engine:
    """An engine on SQLite or PostgreSQL whose connections close when they are given back."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return sa.create_engine(address, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(address, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    """Readers beside one writer, and a commit that outlives a loss of power."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def create_all(engine: Engine) -> None:
    """Creates the tables and views that are not there yet, however many processes ask for it at once."""
    with alone(engine) as connection:
        metadata.create_all(connection)
        there = sa.inspect(connection).get_view_names()
        for name, (query, comment) in _views().items():
            if name not in there:
                _create_view(connection, name, query, comment)


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for any other such one to end, in every process."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Raises StoreUnreachable where the database does not answer; it never tells a password."""
    try:
        yield
    except OperationalError as failed:
        raise StoreUnreachable(
            f"the database does not answer: {_reason(failed, engine.url)}",
            where=engine.url.set(query={}).render_as_string(hide_password=True),  # the query may hold one, too
            to_do="Check that the database runs and that CHURN_DATABASE_URL is right, then run it again.",
        ) from failed


def _reason(failed: OperationalError, url: URL) -> str:
    """The first line of what the driver said, without the passwords that it may quote from the URL."""
    reason = str(failed.orig).partition("\n")[0]
    for secret in (url.password, url.query.get("password")):
        reason = reason.replace(str(secret), "***") if secret else reason
    return reason


def _views() -> dict[str, tuple[sa.Select[Any], str]]:
    newest, each = current_pointer, night_pointer
    return {
        "score_current": (_rows_of(scores, newest), "Scores of the newest published night"),
        "score_history": (_rows_of(scores, each), "Scores of every night, in its latest revision"),
        "quarantine_current": (_rows_of(quarantine, newest, "scores"), "Rows set aside in the newest night"),
        "outreach_current": (_rows_of(outreach, newest), "Outreach list of the newest published night"),
        "outreach_history": (_rows_of(outreach, each), "Outreach lists of every night"),
        "outreach_status_current": (
            _rows_of(statuses, newest, "outreach"),
            "Why each customer of the newest night is on the list or not",
        ),
        "night_status": (_nights(), "Which nights there are, what became of the last run of each, and how old it is"),
    }


def _rows_of(table: sa.Table, pointer: sa.Table, kind: str = "") -> sa.Select[Any]:
    """The rows that the pointer shows, with what their run knows: contract, moment, revision."""
    pointed = (pointer.c.fence == table.c.fence) & (pointer.c.kind == (kind or table.name))
    joined = table.join(pointer, pointed).join(publication, publication.c.run_id == pointer.c.run_id)
    night = [] if "as_of" in table.c else [publication.c.as_of]
    run = [publication.c[name] for name in ("contract", "run_id", "known_at", "revision", "published_at")]
    return sa.select(*night, *(column for column in table.c if column.name != FENCE), *run).select_from(joined)


def _nights() -> sa.Select[Any]:
    last, shown, p = publication.alias("last"), publication.alias("shown"), night_pointer
    unit = ("contract", "kind", "as_of")
    younger = publication.alias("younger")
    is_last = ~sa.exists().where(younger.c.fence > last.c.fence, *(younger.c[n] == last.c[n] for n in unit))
    joined = last.outerjoin(p, sa.and_(*(p.c[name] == last.c[name] for name in unit))).outerjoin(
        shown, shown.c.run_id == p.c.run_id
    )
    return (
        sa.select(
            *(last.c[name] for name in unit),
            last.c.state.label("last_state"),
            last.c.run_id.label("last_run"),
            last.c.reason,
            *(shown.c[name] for name in ("run_id", "revision", "rows", "known_at", "published_at")),
            hours_since(shown.c.published_at).label("age_hours"),
        )
        .select_from(joined)
        .where(is_last)
    )


class hours_since(FunctionElement[float]):  # noqa: N801 - named as it is called, like SQLAlchemy's own functions
    """Hours from a moment in UTC until now, by the database's clock."""

    type = sa.Double()
    inherit_cache = True


@compiles(hours_since, "sqlite")
def _hours_since_in_sqlite(element: hours_since, compiler: Any, **how: Any) -> str:
    moment = compiler.process(element.clauses, **how)
    return f"(julianday('now') - julianday({moment})) * {_HOURS_A_DAY}"


@compiles(hours_since, "postgresql")
def _hours_since_in_postgresql(element: hours_since, compiler: Any, **how: Any) -> str:
    moment = compiler.process(element.clauses, **how)
    return f"CAST(EXTRACT(EPOCH FROM timezone('utc', now()) - {moment}) / 3600 AS double precision)"


def _create_view(connection: Connection, name: str, query: sa.Select[Any], comment: str) -> None:
    text = query.compile(connection, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"CREATE VIEW {name} AS {text}")
    if connection.dialect.supports_comments:
        connection.exec_driver_sql(f"COMMENT ON VIEW {name} IS '{comment}'")
