"""The database: how to reach it, and its tables, of which those with a run's rows are derived from the schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.sql.functions import FunctionElement

from churn.errors import SettingsError, StoreUnreachable
from schemas.columns import Column, LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.masking import without_password
from store.settings import make_folder

FENCE = "fence"
IN_FLIGHT = ("claimed", "staged")
LAPSED = "its lease ran out"  # why a run was abandoned that nobody heard of any more
STATES = (*IN_FLIGHT, "published", "rejected", "failed", "abandoned")
MOST_BASES = 8  # bases of so many contracts have a place in the views of the newest night, see store/views.py
CONNECT_SECONDS = 10
BUSY_SECONDS = 30
IDLE_SECONDS = 60
_HOURS_A_DAY = 24
_NOT_PERMITTED = ("42501", "3F000")  # insufficient_privilege; invalid_schema_name, where search_path names none
_LOCK = 0x636875726E  # "churn": the name of our one advisory lock in PostgreSQL

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
    """The database's table for a schema's rows, of all runs; the fence of a row says which run loaded it.

    In PostgreSQL each run's rows are a partition of their own, see store/partitions.py.
    """
    fence = sa.Column(FENCE, sa.BigInteger, nullable=False, comment="Fence of the run that loaded the row")
    columns = (column_of(column) for column in schema.columns)
    found_by = sa.Index(f"{schema.name}_by_run", FENCE, *(name for name in schema.primary_key if name != "as_of"))
    found_by.unique = bool(schema.primary_key)
    by_run = f"LIST ({FENCE})"
    return sa.Table(
        schema.name, metadata, fence, *columns, found_by, comment=schema.description, postgresql_partition_by=by_run
    )


def column_of(column: Column) -> sa.Column[Any]:
    """The database's column for one of a schema, with its comment."""
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
    sa.Column("content_key", sa.Text, comment="Digest of all that decides the rows; null where it never was known"),
    sa.Column("extract_digest", sa.Text, comment="Digest of the extract that the rows come from"),
    sa.Column(FENCE, sa.BigInteger, nullable=False, unique=True, comment="Grows with every claim; the youngest wins"),
    sa.Column("state", sa.Text, nullable=False, comment=f"One of {', '.join(STATES)}"),
    sa.Column("claimed_at", sa.DateTime, nullable=False, comment="When the run claimed the night, UTC"),
    sa.Column("lease_until", sa.DateTime, nullable=False, comment="When the claim lapses unless it is renewed, UTC"),
    sa.Column("published_at", sa.DateTime, comment="When readers began to see it, UTC"),
    sa.Column("behind_from", sa.DateTime, comment="When its readers are behind, since the next night is due, UTC"),
    sa.Column("rows", sa.BigInteger, comment="Rows of the run's first table"),
    sa.Column("manifest_sha256", sa.Text, comment="sha256 of the manifest of the run's files"),
    sa.Column("folder", sa.Text, comment="Folder of the run's files, below the lake"),
    sa.Column("ended_at", sa.DateTime, comment="When it was published, or ended without that, UTC"),
    sa.Column("retired_at", sa.DateTime, comment="When readers lost sight of it for good, UTC; null while it is kept"),
    sa.Column("reason", sa.Text, comment="Why the run was rejected, failed or was abandoned"),
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
    comment="Every run of a night, and what became of it; one that failed before its claim, too",
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

data_dictionary = sa.Table(
    "data_dictionary",
    metadata,
    sa.Column("relation", sa.Text, primary_key=True, comment="Name of the table or view"),
    sa.Column("place", sa.BigInteger, primary_key=True, comment="Place of the column, from 1; 0 for the relation"),
    sa.Column("kind", sa.Text, nullable=False, comment="table, view or column"),
    sa.Column("name", sa.Text, nullable=False, comment="Name of the column, or of the relation itself"),
    sa.Column("description", sa.Text, nullable=False, comment="What it is"),
    comment="What each table and view is, and each of their columns",
)

database_role = sa.Table(
    "database_role",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="Name of the role in PostgreSQL"),
    sa.Column("role", sa.Text, nullable=False, comment="What it may do: loader, publisher, reader, auditor or service"),
    comment="Who was given which role; they get their rights again whenever tables or views are made anew",
)

scores = published_table(SCORES)
quarantine = published_table(QUARANTINE)
outreach = published_table(OUTREACH)
statuses = published_table(STATUSES)
teams = published_table(TEAMS)

# Which release made the tables and views; store/structure.py asks it.
structure = sa.Table(
    "structure",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True, comment="sha256 of the statements that make tables and views"),
    comment="The shape of the tables and views, as they were last made",
)

SCORED, LISTED = SCORES.name, OUTREACH.name  # the two kinds of runs

# The tables that a run of each kind loads; the first is the one whose rows are counted.
TABLES_OF: Mapping[str, tuple[sa.Table, ...]] = MappingProxyType(
    {SCORED: (scores, quarantine), LISTED: (outreach, statuses, teams)}
)


def engine_for(url: str) -> Engine:
    """An engine on SQLite or PostgreSQL whose connections close when they are given back.

    SettingsError where the URL is of neither, or the folder of SQLite's file cannot be made.
    """
    address = address_of(url)
    if address.get_backend_name() != "sqlite":
        return sa.create_engine(address, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    make_folder(Path(str(address.database)).parent, "CHURN_DATABASE_URL")
    engine = sa.create_engine(address, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def address_of(url: str) -> URL:
    """The URL as SQLAlchemy takes it, also in the form that every other program of PostgreSQL takes.

    SettingsError where it is of neither SQLite nor PostgreSQL; it is not repeated, as it may hold a password.
    """
    with suppress(ArgumentError, ValueError):
        address = make_url(url)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        # A password with an @ that is not written as %40 ends at that @, and its rest is taken for the host's.
        if address.drivername == "postgresql+psycopg" and "@" not in (address.host or ""):
            return address
        if address.drivername in ("sqlite", "sqlite+pysqlite") and address.database not in (None, "", ":memory:"):
            return address
    raise SettingsError(
        "it names neither a file of SQLite nor a PostgreSQL database",
        where="CHURN_DATABASE_URL",
        to_do="Write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, an @ in a password as %40.",
    )


def session_options(address: URL, own: str) -> str:
    """What sessions of PostgreSQL begin with: what the URL asks for, such as a search_path, and then our own."""
    return f"{address.query.get('options', '')} {own}".strip()


def _set_up_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    """Readers beside one writer, and a commit that outlives a loss of power."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that runs while no other does that is `alone` or `beside`, in whatever process.

    One whose process stands still ends after `IDLE_SECONDS`, so that nobody waits for ever.
    """
    with _locked(engine, sa.func.pg_advisory_xact_lock) as connection:
        yield connection


@contextmanager
def beside(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for one that is `alone` and keeps the next such one waiting; others go on beside it.

    In SQLite, where one writes at a time, it is `alone`.
    """
    with _locked(engine, sa.func.pg_advisory_xact_lock_shared) as connection:
        yield connection


@contextmanager
def _locked(engine: Engine, lock: Callable[[int], sa.ColumnElement[Any]]) -> Iterator[Connection]:
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.execute(sa.select(lock(_LOCK)))
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


@contextmanager
def permitted() -> Iterator[None]:
    """SettingsError where the database's user may not do what is done inside, or has no schema to do it in."""
    try:
        yield
    except ProgrammingError as failed:
        if getattr(failed.orig, "sqlstate", "") not in _NOT_PERMITTED:
            raise
        reason = str(failed.orig).partition("\n")[0]
        raise SettingsError(
            f"its user may not do that: {reason}",
            where="CHURN_DATABASE_URL",
            to_do="Name a user who owns the tables and may CREATE in their schema; `churn storage grant` asks for "
            "CREATEROLE, too.",
        ) from None


def _reason(failed: OperationalError, url: URL) -> str:
    """The first line of what the driver said, without the passwords that it may quote from the URL."""
    return without_password(str(failed.orig).partition("\n")[0], url)


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
