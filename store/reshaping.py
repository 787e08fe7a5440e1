"""Gives the tables that an earlier release made the shape of this one, with all their rows.

A run's rows may gain a column, of which the rows of earlier runs know nothing. A column that this release does not know
is refused: it comes from a newer one, whose rows would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import DropIndex, SetColumnComment, SetTableComment

from churn.errors import PublicationError
from store.partitions import complete_run_table, make_run_table, run_table
from store.tables import FENCE, TABLES_OF, metadata

BEFORE = "before_"  # what a table is called while its rows move to its successor


def make_tables(connection: Connection) -> None:
    """Makes the tables that are not there, and gives the others the columns, constraints and comments of this release.

    PublicationError where one of them has columns that this release does not know. It has to be a transaction in which
    no view asks the tables.
    """
    loaded = [table for tables in TABLES_OF.values() for table in tables]
    _make_anew(connection, [table for table in metadata.sorted_tables if table not in loaded])
    for table in loaded:
        _make_for_runs(connection, table)


def _make_anew(connection: Connection, tables: Sequence[sa.Table]) -> None:
    """Small tables, each before those that refer to it, which are made anew and get their rows back."""
    known = {table.name: _columns(connection, table) for table in tables}
    for table in reversed(tables):
        if known[table.name]:
            connection.exec_driver_sql(f"CREATE TEMP TABLE {BEFORE}{table.name} AS SELECT * FROM {table.name}")  # noqa: S608
            connection.exec_driver_sql(f"DROP TABLE {table.name}")
    for table in tables:
        table.create(connection)
        if known[table.name]:
            _take_rows(connection, f"{BEFORE}{table.name}", table.name, known[table.name])
            connection.exec_driver_sql(f"DROP TABLE {BEFORE}{table.name}")


def _make_for_runs(connection: Connection, table: sa.Table) -> None:
    """A table of runs' rows, whose earlier rows hold null where they know nothing of a column."""
    known = _columns(connection, table)
    new = _with_gaps(table, known) if known else table
    if not known:
        table.create(connection)
    elif connection.dialect.name == "sqlite":
        if _is_shaped_otherwise(connection, table, known):
            _rebuild(connection, new, known)
    elif not _is_partitioned(connection, table):
        _rebuild_in_partitions(connection, new, known)
    else:
        _widen(connection, table, known)
        _describe(connection, table)


def _columns(connection: Connection, table: sa.Table) -> list[str]:
    """The columns that the table has in the database, none where it is not there."""
    there = sa.inspect(connection)
    found = [column["name"] for column in there.get_columns(table.name)] if there.has_table(table.name) else []
    unknown = [name for name in found if name not in table.columns]
    if unknown:
        raise PublicationError(
            f"another release made it: it has the columns {', '.join(unknown)}, which this one does not know",
            where=f"table {table.name} of {connection.engine.url.set(query={}).render_as_string(hide_password=True)}",
            to_do="Use the release that made it, or name a new, empty database in CHURN_DATABASE_URL.",
        )
    return found


def _with_gaps(table: sa.Table, known: Iterable[str]) -> sa.Table:
    """The table with null allowed in the columns that earlier rows do not have."""
    copy = table.to_metadata(sa.MetaData())
    for column in copy.columns:
        column.nullable = column.nullable or column.name not in known
    return copy


def _is_shaped_otherwise(connection: Connection, table: sa.Table, known: list[str]) -> bool:
    return len(known) != len(table.columns) or bool(_too_strict(connection, table))


def _too_strict(connection: Connection, table: sa.Table) -> list[str]:
    """The columns in which the database allows no null, and this release has some."""
    found = sa.inspect(connection).get_columns(table.name)
    return [column["name"] for column in found if table.c[column["name"]].nullable and not column["nullable"]]


def _rebuild(connection: Connection, table: sa.Table, known: list[str]) -> None:
    _put_aside(connection, table)
    table.create(connection)
    _take_rows(connection, f"{BEFORE}{table.name}", table.name, known)
    connection.exec_driver_sql(f"DROP TABLE {BEFORE}{table.name}")


def _rebuild_in_partitions(connection: Connection, table: sa.Table, known: list[str]) -> None:
    """Gives each run's rows a partition of their own, which the first releases had not."""
    before = f"{BEFORE}{table.name}"
    _put_aside(connection, table)
    table.create(connection)
    own = [name for name in known if name != FENCE]
    for fence in connection.scalars(sa.text(f"SELECT DISTINCT {FENCE} FROM {before}")).all():  # noqa: S608
        part = run_table(table, fence)
        make_run_table(connection, table, fence, without=(FENCE,))
        _take_rows(connection, before, part, own, f"WHERE {FENCE} = {fence}")
        complete_run_table(connection, table, fence, {FENCE: fence})
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ATTACH PARTITION {part} FOR VALUES IN ({fence})")
    connection.exec_driver_sql(f"DROP TABLE {before}")


def _widen(connection: Connection, table: sa.Table, known: list[str]) -> None:
    """Adds the columns that the table and its partitions lack, and lets null in where this release has some."""
    for column in table.columns:
        if column.name not in known:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {_quoted(connection, column.name)} {kind}")
    for name in _too_strict(connection, table):
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ALTER {_quoted(connection, name)} DROP NOT NULL")


def _describe(connection: Connection, table: sa.Table) -> None:
    connection.execute(SetTableComment(table))
    for column in table.columns:
        connection.execute(SetColumnComment(column))


def _put_aside(connection: Connection, table: sa.Table) -> None:
    """Renames the table and takes its indices away, whose names its successor needs."""
    found = {index["name"] for index in sa.inspect(connection).get_indexes(table.name)}
    for index in table.indexes:
        if index.name in found:
            connection.execute(DropIndex(index))
    with _views_let_alone(connection):
        connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO {BEFORE}{table.name}")


@contextmanager
def _views_let_alone(connection: Connection) -> Iterator[None]:
    """SQLite reads every view when it renames a table, and refuses where somebody's own asks for one just dropped."""
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        if on_sqlite:
            connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")


def _take_rows(connection: Connection, source: str, target: str, columns: Iterable[str], which: str = "") -> None:
    names = ", ".join(_quoted(connection, name) for name in columns)
    # Names and fences of ours.
    connection.exec_driver_sql(f"INSERT INTO {target} ({names}) SELECT {names} FROM {source} {which}")  # noqa: S608


def _is_partitioned(connection: Connection, table: sa.Table) -> bool:
    kind = "SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"
    return connection.scalar(sa.text(kind), {"name": table.name}) in ("p", b"p")


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
