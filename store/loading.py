"""Loads a run's files into the tables: COPY by two connections in PostgreSQL, one prepared statement in SQLite.

PostgreSQL takes the rows through ADBC's driver where that is installed, else as CSV that Arrow writes.

SQLite is loaded through Python's own module, although ADBC's driver is faster (220,000 score rows a second against
150,000). The driver brings its own copy of SQLite, and two copies in one process do not see each other's locks: a
reader beside the loader met a malformed database. https://www.sqlite.org/howtocorrupt.html section 2.2.1.

In SQLite one writes at a time, and the service writes too, since it logs who looks at whom. So the loader commits a few
thousand rows at once, and lets others write between two commits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from store import lake
from store.claims import Claim, lost, still_held
from store.fault_points import reached
from store.partitions import (
    AT_ONCE,
    GIVE_WAY_SECONDS,
    attach_run_table,
    complete_run_table,
    forget_rows,
    is_attached,
    make_run_table,
    run_table,
)
from store.tables import CONNECT_SECONDS, FENCE, IDLE_SECONDS

STREAMS = 2  # connections that load side by side: one core's worth of client and one of server for each two
ATTACH_TRIES = 20
NONE_SHARED: Mapping[str, Any] = MappingProxyType({})

_DAY = "%Y-%m-%d"
_MOMENT = "%Y-%m-%d %H:%M:%S"  # %S of a timestamp[us] has the six decimals that SQLAlchemy reads
_REPEATED = 4  # a text that comes this often on average is made a Python object once
_BATCH = 16_384  # rows that become CSV at once
# 64 MB, so that the index of a large night is not read again for each file. And the commit that publishes waits for the
# disk, and so for all that was committed before it.
_LOADING = ("PRAGMA cache_size = -65536", "PRAGMA synchronous = NORMAL")


class Way(StrEnum):
    """How rows get into PostgreSQL."""

    ADBC = "adbc"
    CSV = "csv"


def best_way() -> Way:
    """ADBC's binary COPY where its driver is installed, else COPY of Arrow's CSV."""
    return Way.ADBC if find_spec("adbc_driver_postgresql") else Way.CSV


class Loader(Protocol):
    """Adds rows in a transaction that is always open; what is not committed is undone."""

    def portions(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows in as many as are to be committed at once; at least one, that may be empty."""

    def append(self, table: str, rows: pa.Table, shared: Mapping[str, Any] = NONE_SHARED) -> None:
        """Adds the rows to the table by their columns' names; where each needs them, with the values they share."""

    def holds(self, query: sa.Select[Any]) -> bool:
        """Whether the query finds a row now."""

    def commit(self) -> None:
        """Keeps what was added since the last time, and gives way to who waits for it."""


@contextmanager
def loader(engine: Engine, way: Way | None = None) -> Iterator[Loader]:
    """A loader for the engine's database, on a connection of its own."""
    binary = engine.dialect.name != "sqlite" and (way or best_way()) is Way.ADBC
    kind = _SqliteLoader if engine.dialect.name == "sqlite" else _AdbcLoader if binary else _CsvLoader
    with closing(_adbc_connection(engine) if binary else engine.raw_connection()) as connection:
        yield kind(connection, engine).prepared()


@dataclass(frozen=True, slots=True)
class Load:
    """The loading of a run's sealed files, for as long as its claim holds; Fenced once it does not."""

    engine: Engine
    claim: Claim
    way: Way | None = None

    def table(self, table: sa.Table, files: Sequence[Path]) -> None:
        """Loads the files into the table, where no view shows them yet: one transaction a portion.

        It may be repeated after a failure: what was loaded before is replaced, unless it was whole.
        """
        try:
            if self.engine.dialect.name == "sqlite":
                self._fenced_rows(table, files)
            else:
                self._partition(table, files)
        except Exception as failed:
            with self._held():  # what fails once the night is taken over fails for that reason
                raise failed

    def _fenced_rows(self, table: sa.Table, files: Sequence[Path]) -> None:
        forget_rows(self.engine, table, self.claim.fence)
        self._copy(table.name, files, self._shared(table, files))
        reached("loaded")

    def _partition(self, table: sa.Table, files: Sequence[Path]) -> None:
        fence = self.claim.fence
        with self.engine.connect() as connection:
            if is_attached(connection, table, fence):
                return
        shared = self._shared(table, files)
        with self._held() as connection:
            make_run_table(connection, table, fence, without=shared)
        self._copy_side_by_side(run_table(table, fence), files, shared)
        with self._held() as connection:
            complete_run_table(connection, table, fence, shared)
        reached("loaded")
        self._attach(table)

    def _shared(self, table: sa.Table, files: Sequence[Path]) -> dict[str, Any]:
        """The values that all rows have in common, by column; at least one column is left to the rows themselves."""
        fence, shared = {FENCE: self.claim.fence}, lake.fixed_columns(files)
        return fence if len(fence | shared) == len(table.columns) else fence | shared

    def _copy_side_by_side(self, name: str, files: Sequence[Path], shared: Mapping[str, Any]) -> None:
        with ThreadPoolExecutor(STREAMS) as pool:
            streams = [pool.submit(self._copy, name, files[first::STREAMS], shared) for first in range(STREAMS)]
        for stream in streams:
            stream.result()

    def _copy(self, name: str, files: Sequence[Path], shared: Mapping[str, Any]) -> None:
        with loader(self.engine, self.way) as load:
            for rows in (rows for file in files for rows in load.portions(_without(lake.read_parquet([file]), shared))):
                load.append(name, rows, shared)
                reached("copied")
                if not load.holds(self._still_held):
                    raise lost(self.claim)
                load.commit()
                reached("part-loaded")

    def _attach(self, table: sa.Table) -> None:
        """Only another run that attaches its own rows can be in the way, and that for a moment."""
        for tries_left in reversed(range(ATTACH_TRIES)):
            try:
                with self._held() as connection:
                    return attach_run_table(connection, table, self.claim.fence)
            except OperationalError:
                if not tries_left:
                    raise
        return None

    @property
    def _still_held(self) -> sa.Select[Any]:
        return still_held(self.claim, self.engine.dialect.name)

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        """A transaction during which nobody takes the night over."""
        with self.engine.begin() as connection:
            if connection.execute(self._still_held).one_or_none() is None:
                raise lost(self.claim)
            yield connection


def _without(rows: pa.Table, columns: Iterable[str]) -> pa.Table:
    return rows.drop_columns([name for name in columns if name in rows.column_names])


@dataclass(frozen=True, slots=True)
class _Loader:
    connection: Any
    engine: Engine

    def prepared(self) -> Self:
        return self

    def portions(self, rows: pa.Table) -> Iterator[pa.Table]:
        yield rows

    def append(self, table: str, rows: pa.Table, shared: Mapping[str, Any] = NONE_SHARED) -> None:
        raise NotImplementedError

    def holds(self, query: sa.Select[Any]) -> bool:
        text = str(query.compile(self.engine, compile_kwargs={"literal_binds": True}))
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(text)
            return cursor.fetchone() is not None

    def commit(self) -> None:
        self.connection.commit()

    def names(self, columns: Iterable[str]) -> str:
        """The columns' names, which are the schema's own, quoted."""
        return ", ".join(map(self.engine.dialect.identifier_preparer.quote_identifier, columns))


class _PostgresLoader(_Loader):
    """Leaves the shared values to the run's table, which gets them once it is filled."""

    __slots__ = ()

    def prepared(self) -> Self:
        with closing(self.connection.cursor()) as cursor:
            # The commit that publishes waits for the disk, and so for all that was committed before it.
            cursor.execute("SET synchronous_commit = off")
            # Whoever takes the night over from a process that stands still waits no longer for what it holds.
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        self.connection.commit()
        return self


class _AdbcLoader(_PostgresLoader):
    __slots__ = ()

    def append(self, table: str, rows: pa.Table, shared: Mapping[str, Any] = NONE_SHARED) -> None:
        with self.connection.cursor() as cursor:
            cursor.adbc_ingest(table, _plain(rows), mode="append")


class _CsvLoader(_PostgresLoader):
    __slots__ = ()

    def append(self, table: str, rows: pa.Table, shared: Mapping[str, Any] = NONE_SHARED) -> None:
        copy = f"COPY {table} ({self.names(rows.column_names)}) FROM STDIN (FORMAT csv)"
        with closing(self.connection.cursor()) as cursor, cursor.copy(copy) as stream:
            for batch in _plain(rows).to_batches(_BATCH):
                stream.write(_csv(batch))


class _SqliteLoader(_Loader):
    __slots__ = ()

    def prepared(self) -> Self:
        for pragma in _LOADING:
            self.connection.execute(pragma)
        return self

    def portions(self, rows: pa.Table) -> Iterator[pa.Table]:
        for first in range(0, max(1, len(rows)), AT_ONCE):
            yield rows.slice(first, AT_ONCE)

    def append(self, table: str, rows: pa.Table, shared: Mapping[str, Any] = NONE_SHARED) -> None:
        names = self.names([*rows.column_names, *shared])
        given = ", ".join(["?"] * rows.num_columns + [self._literal(value) for value in shared.values()])
        values = [_python_values(_text_of_time(column)) for column in _plain(rows).columns]
        with closing(self.connection.cursor()) as cursor:
            insert = f"INSERT INTO {table} ({names}) VALUES ({given})"  # noqa: S608 - names and values are quoted
            cursor.executemany(insert, zip(*values, strict=True))

    def commit(self) -> None:
        self.connection.commit()
        time.sleep(GIVE_WAY_SECONDS)

    def _literal(self, value: object) -> str:
        """A value that is said once in the statement costs less than one that is bound for each row."""
        return str(sa.literal(value).compile(self.engine, compile_kwargs={"literal_binds": True}))


def _adbc_connection(engine: Engine) -> Any:
    # Not every machine that runs nights has the driver.
    import adbc_driver_postgresql.dbapi

    url = engine.url.set(drivername="postgresql").update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    return adbc_driver_postgresql.dbapi.connect(url.render_as_string(hide_password=False))


def _csv(rows: pa.RecordBatch) -> memoryview:
    """The rows as CSV in which every text stands in quotes and null is nothing, as PostgreSQL tells them apart."""
    text = pa.BufferOutputStream()
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False))
    return memoryview(text.getvalue())


def _plain(rows: pa.Table) -> pa.Table:
    """The rows without dictionaries, which no driver takes."""
    return pa.table([_decoded(column) for column in rows.columns], rows.column_names)


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
