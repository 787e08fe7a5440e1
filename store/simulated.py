"""Writes a simulation to SQLite, PostgreSQL or Parquet: whole or not at all, and the truth apart from the source."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from adbc_driver_manager.dbapi import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from churn.errors import RequestError, SourceUnreachable
from churn.simulator import SOURCE_SCHEMAS, TRUTH_SCHEMA
from store.settings import Settings

Block = Mapping[str, pa.Table]
Write = Callable[[str, pa.Table], None]

_SQLITE_TYPES = {"int64": "INTEGER", "double": "REAL", "bool": "INTEGER"}  # dates and timestamps are ISO text
_ISO_FORMATS = {"date32[day]": "%Y-%m-%d", "timestamp[us]": "%Y-%m-%dT%H:%M:%S"}  # seconds with their fraction
_POSTGRES_TYPES = {
    "string": "TEXT",
    "int64": "BIGINT",
    "double": "DOUBLE PRECISION",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}


def write_simulation(
    blocks: Iterable[Block], to: str, truth: Path, on_block: Callable[[], None] = lambda: None
) -> dict[str, int]:
    """Writes the source tables `to` an SQLAlchemy URL or a folder, and the truth to the folder `truth`.

    What was there before is replaced once all is written, and stays if anything fails. Calls `on_block` after each
    block. Returns the rows of each table. Raises RequestError for a URL of another kind, SourceUnreachable where the
    database does not answer.
    """
    rows = dict.fromkeys((*SOURCE_SCHEMAS, "truth"), 0)
    with _truth(truth) as write_truth, _target(to) as write:
        for block in blocks:
            for name, table in block.items():
                rows[name] += table.num_rows
                (write_truth if name == "truth" else write)(name, table)
            on_block()
    return rows


def default_truth(to: str, settings: Settings) -> Path:
    """The folder for the truth beside a source: telco-truth for telco.db, a folder telco or a database telco."""
    if "://" not in to:
        return Path(f"{to.rstrip('/')}-truth")
    url = _url(to)
    database = url.database or "source"
    if url.get_backend_name() == "sqlite":
        return Path(database).with_name(f"{Path(database).stem}-truth")
    return settings.data / f"{database}-truth"


def is_there(to: str, truth: Path) -> bool:
    """Whether a simulation was written there before: its truth, and the file or folder of its source."""
    place = Path(_url(to).database or "") if to.startswith("sqlite:") else Path(to)
    return truth.is_dir() and (place.exists() or to.startswith("postgresql"))


def _target(to: str) -> AbstractContextManager[Write]:
    if "://" not in to:
        return _parquet(Path(to), SOURCE_SCHEMAS)
    url = _url(to)
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return _sqlite(Path(url.database))
    if backend == "postgresql" and url.database:
        return _postgres(url)
    raise _impossible(to)


def _truth(folder: Path) -> AbstractContextManager[Write]:
    return _parquet(folder, {"truth": TRUTH_SCHEMA})


def _url(to: str) -> URL:
    try:
        return make_url(to)
    except ArgumentError:
        raise _impossible(to) from None


def _impossible(to: str) -> RequestError:
    kind = to.partition("://")[0]  # the rest may hold a password
    return RequestError(
        f"cannot write a simulation to a {kind} URL like this",
        where="--to",
        to_do="Give sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE or a folder.",
    )


@contextmanager
def _sqlite(path: Path) -> Iterator[Write]:
    """A new database file beside `path` that takes its place at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with adbc_driver_sqlite.dbapi.connect(str(part), autocommit=True) as connection:
            # Nobody reads the file before it is renamed, so it needs neither a journal nor a sync after each block.
            # Large pages suit tables that are written once and read from end to end.
            _execute(connection, "PRAGMA page_size = 65536", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
            _execute(connection, *_create_tables(_SQLITE_TYPES))
            yield lambda name, table: _ingest(connection, name, _with_iso_text(table))
        _sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _postgres(url: URL) -> Iterator[Write]:
    """New tables in one transaction, in which the old ones go."""
    uri = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with _connected(uri, url) as connection:
        _execute(connection, *(f'DROP TABLE IF EXISTS "{name}"' for name in SOURCE_SCHEMAS))
        _execute(connection, *_create_tables(_POSTGRES_TYPES))
        yield lambda name, table: _ingest(connection, name, table)
        connection.commit()


def _connected(uri: str, url: URL) -> Connection:
    try:
        connection: Connection = adbc_driver_postgresql.dbapi.connect(uri)
    except adbc_driver_postgresql.dbapi.Error:
        raise SourceUnreachable(
            "the database does not answer", where=url.render_as_string(), to_do="Start it, or mend the URL."
        ) from None
    return connection


@contextmanager
def _parquet(folder: Path, schemas: Mapping[str, pa.Schema]) -> Iterator[Write]:
    """A new folder beside `folder`, one file a table, that takes its place at the end."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writers = {name: pq.ParquetWriter(part / f"{name}.parquet", schema) for name, schema in schemas.items()}
    try:
        yield lambda name, table: writers[name].write_table(table)
        for writer in writers.values():
            writer.close()
        _replace_folder(part, folder)
    finally:
        for writer in writers.values():
            writer.close()
        shutil.rmtree(part, ignore_errors=True)


def _replace_folder(part: Path, folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _create_tables(types: Mapping[str, str]) -> Iterator[str]:
    for name, schema in SOURCE_SCHEMAS.items():
        columns = ", ".join(f'"{field.name}" {types.get(str(field.type), "TEXT")}' for field in schema)
        yield f'CREATE TABLE "{name}" ({columns})'


def _execute(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _ingest(connection: Connection, name: str, table: pa.Table) -> None:
    with connection.cursor() as cursor:
        cursor.adbc_ingest(name, table, mode="append")


def _with_iso_text(table: pa.Table) -> pa.Table:
    """Dates and timestamps as text, each different one written once: the driver's own writing takes twice as long."""
    for place, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type):
            distinct = table.column(place).combine_chunks().dictionary_encode()
            text = pc.strftime(distinct.dictionary, format=_ISO_FORMATS[str(field.type)]).take(distinct.indices)
            table = table.set_column(place, field.name, text)
    return table


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
