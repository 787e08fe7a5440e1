"""Loads Arrow rows into the database's tables: COPY through ADBC in PostgreSQL, one prepared statement in SQLite.

SQLite is loaded through Python's own module, although ADBC's driver is faster (220,000 score rows a second against
118,000). The driver brings its own copy of SQLite, and two copies in one process do not see each other's locks: a
reader beside the loader met a malformed database. https://www.sqlite.org/howtocorrupt.html section 2.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import adbc_driver_postgresql.dbapi
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from adbc_driver_manager.dbapi import Connection
from sqlalchemy.engine import Engine

from store.tables import CONNECT_SECONDS

_DAY = "%Y-%m-%d"
_MOMENT = "%Y-%m-%d %H:%M:%S"  # %S of a timestamp[us] has the six decimals that SQLAlchemy reads
_REPEATED = 4  # a text that comes this often on average is made a Python object once


class Loader(Protocol):
    """Adds rows in a transaction that is always open; what is not committed is undone."""

    def append(self, table: str, rows: pa.Table) -> None:
        """Adds the rows to the table by their columns' names."""

    def holds(self, query: sa.Select[Any]) -> bool:
        """Whether the query finds a row now."""

    def commit(self) -> None:
        """Keeps what was added since the last time."""


@contextmanager
def loader(engine: Engine) -> Iterator[Loader]:
    """A loader for the engine's database, on a connection of its own."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            yield _SqliteLoader(connection, engine)
    else:
        with _postgres(engine) as connection:
            yield _PostgresLoader(connection, engine)


def _postgres(engine: Engine) -> Connection:
    url = engine.url.set(drivername="postgresql").update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    connection: Connection = adbc_driver_postgresql.dbapi.connect(url.render_as_string(hide_password=False))
    return connection


@dataclass(frozen=True, slots=True)
class _Loader:
    connection: Any
    engine: Engine

    def holds(self, query: sa.Select[Any]) -> bool:
        text = str(query.compile(self.engine, compile_kwargs={"literal_binds": True}))
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(text)
            return cursor.fetchone() is not None

    def commit(self) -> None:
        self.connection.commit()


@dataclass(frozen=True, slots=True)
class _PostgresLoader(_Loader):
    def append(self, table: str, rows: pa.Table) -> None:
        with self.connection.cursor() as cursor:
            cursor.adbc_ingest(table, pa.table([_decoded(c) for c in rows.columns], rows.column_names), mode="append")


@dataclass(frozen=True, slots=True)
class _SqliteLoader(_Loader):
    def append(self, table: str, rows: pa.Table) -> None:
        quoted = self.engine.dialect.identifier_preparer.quote_identifier
        names = ", ".join(quoted(name) for name in rows.column_names)
        marks = ", ".join("?" * rows.num_columns)
        values = [_python_values(_text_of_time(_decoded(column))) for column in rows.columns]
        with closing(self.connection.cursor()) as cursor:
            # The names are the schema's own, and quoted.
            insert = f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608
            cursor.executemany(insert, zip(*values, strict=True))


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _text_of_time(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_temporal(values.type):
        return values
    return pc.strftime(values, _DAY if pa.types.is_date(values.type) else _MOMENT)


def _python_values(values: pa.ChunkedArray) -> list[Any]:
    """The column's values as Python objects, in a quarter of the time that to_pylist takes on score rows."""
    if pa.types.is_string(values.type):
        return _python_texts(values)
    return list(values.to_pylist() if values.null_count else values.to_numpy().tolist())


def _python_texts(texts: pa.ChunkedArray) -> list[str | None]:
    coded = texts.combine_chunks().dictionary_encode()
    if len(coded.dictionary) * _REPEATED > len(coded):
        return list(texts.to_pylist())
    words = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    return list(words[coded.indices.fill_null(len(words) - 1).to_numpy()])
