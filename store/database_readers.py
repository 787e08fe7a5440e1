"""Readers of databases: SQLite and PostgreSQL straight into Arrow, any other through SQLAlchemy's cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow as pa
from adbc_driver_manager.dbapi import Cursor
from adbc_driver_sqlite import StatementOptions
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import NullPool

from churn.errors import SourceMismatch, SourceMissing
from schemas.columns import Column, LogicalType, Table

_CONNECT_SECONDS = 10
_BLOCK_ROWS = 65_536


def database_reader(url: URL) -> DatabaseReader:
    """The reader of a database; SourceMissing where a SQLite file is not there."""
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise SourceMissing("there is no such file", where=url.render_as_string(), to_do="Check the path.")
    if url.drivername == "sqlite":
        return SqliteReader(url)
    if url.get_backend_name() == "postgresql":
        patience = {"connect_timeout": str(_CONNECT_SECONDS)} | dict(url.query)
        return PostgresReader(url.set(drivername="postgresql+psycopg", query=patience))
    return DatabaseReader(url)


@dataclass(frozen=True)
class DatabaseReader:
    """Reads any database that SQLAlchemy knows, in blocks from a cursor on the server's side."""

    url: URL

    def schema(self, table: Table) -> pa.Schema:
        """The columns that the database has for the table, all called text: their values tell what they hold."""
        names = self._names(table)
        if not names:
            raise self._no_such_table(table)
        return pa.schema([(name, pa.string()) for name in names])

    def blocks(self, table: Table) -> Iterator[pa.Table]:
        """The table's rows, in whatever order the database has them."""
        present = self.schema(table).names
        columns = [column for column in table.columns if column.source_name in present]
        yield from self._stream(self._query(table, columns))

    def _names(self, table: Table) -> list[str]:
        inspector = inspect(self._engine())
        found = inspector.get_columns(table.name) if inspector.has_table(table.name) else []
        return [str(column["name"]) for column in found]

    def _tables(self) -> list[str]:
        return inspect(self._engine()).get_table_names()

    def _no_such_table(self, table: Table) -> SourceMismatch:
        there = ", ".join(sorted(self._tables())) or "no table at all"
        return SourceMismatch(
            f"table {table.name} is missing: the database holds {there}",
            where=self.url.set(query={}).render_as_string(),
            to_do=f"Add the table {table.name}, or name another database.",
        )

    def _query(self, table: Table, columns: Sequence[Column]) -> str:
        chosen = ", ".join(f"{self._value(column)} AS {self._name(column)}" for column in columns)
        # Every name comes from the contract and is quoted by the dialect.
        return f"SELECT {chosen} FROM {self._quoted(table.name)}"  # noqa: S608

    def _value(self, column: Column) -> str:
        return self._name(column)

    def _name(self, column: Column) -> str:
        return self._quoted(column.source_name)

    def _quoted(self, name: str) -> str:
        return self._engine().dialect.identifier_preparer.quote_identifier(name)

    def _engine(self) -> Engine:
        return create_engine(self.url, poolclass=NullPool)

    def _stream(self, query: str) -> Iterator[pa.Table]:
        with self._engine().connect().execution_options(yield_per=_BLOCK_ROWS) as connection:
            result = connection.exec_driver_sql(query)
            names = list(result.keys())
            for rows in result.partitions(_BLOCK_ROWS):
                yield pa.table([_array(values) for values in zip(*rows, strict=True)], names)


@dataclass(frozen=True)
class SqliteReader(DatabaseReader):
    """Reads SQLite through ADBC, all values as text.

    A column of SQLite may hold any type in any row. The driver takes the types of a stream from its first rows: it
    stops at a value of another type later, and it shortens decimals to seven digits where text stands among them.
    Nothing here goes through Python's own sqlite3: two copies of SQLite in one process undo each other's locks.
    """

    def _names(self, table: Table) -> list[str]:
        return self._list("SELECT name FROM pragma_table_info(?)", table.name)

    def _tables(self) -> list[str]:
        return self._list("SELECT name FROM sqlite_schema WHERE type = 'table'")

    def _list(self, query: str, *parameters: str) -> list[str]:
        with self._cursor() as cursor:
            cursor.execute(query, parameters)
            return [str(name) for (name,) in cursor.fetchall()]

    def _value(self, column: Column) -> str:
        name = self._name(column)
        if column.logical_type in (LogicalType.NUMBER, LogicalType.INTEGER):
            # A plain cast keeps 15 digits; 17 give every double back exactly.
            return f"CASE typeof({name}) WHEN 'real' THEN format('%!.17g', {name}) ELSE CAST({name} AS TEXT) END"
        return f"CAST({name} AS TEXT)"

    def _query(self, table: Table, columns: Sequence[Column]) -> str:
        # A column that starts with many nulls would be called a whole number, so a row of texts goes before the rest.
        first = ", ".join(f"'' AS {self._name(column)}" for column in columns)
        rest = super()._query(table, columns)
        return f"SELECT {first} UNION ALL {rest}"

    def _stream(self, query: str) -> Iterator[pa.Table]:
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(_BLOCK_ROWS)})
            yield from _blocks(cursor, query, skip=1)

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        uri = f"file:{quote(str(Path(str(self.url.database)).resolve()))}?mode=ro"
        with closing(adbc_driver_sqlite.dbapi.connect(uri)) as connection, connection.cursor() as cursor:
            yield cursor


@dataclass(frozen=True)
class PostgresReader(DatabaseReader):
    """Reads PostgreSQL through ADBC, which asks it for binary COPY."""

    def _stream(self, query: str) -> Iterator[pa.Table]:
        uri = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with closing(adbc_driver_postgresql.dbapi.connect(uri)) as connection, connection.cursor() as cursor:
            yield from _blocks(cursor, query)


def _blocks(cursor: Cursor, query: str, skip: int = 0) -> Iterator[pa.Table]:
    cursor.execute(query)
    for batch in cursor.fetch_record_batch():
        yield pa.table([_stored(column) for column in batch.columns], batch.schema.names)[skip:]
        skip = 0


def _stored(values: pa.Array) -> pa.Array:
    """PostgreSQL's numeric, uuid and the like come as text under a name of their own."""
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def _array(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
