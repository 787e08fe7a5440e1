"""Compares every published run with what lies there: its manifest, its files, its rows and the pointers to it.

What runs were made from, extracts and snapshots, is held against its own manifests, and the views are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.contract import arrow_schema
from churn.errors import AuditFailed
from schemas.columns import Table
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store import structure
from store.lake import MANIFEST, Manifest, differences, duck, read_manifest, read_parquet, sha256_of
from store.publication import Publisher, current_folder
from store.runs import Run, published_runs
from store.tables import FENCE, TABLES_OF, current_pointer, night_pointer, publication

ROWS_AT_ONCE = 50_000
SCHEMAS = {schema.name: schema for schema in (SCORES, QUARANTINE, OUTREACH, STATUSES, TEAMS)}


class Side(StrEnum):
    """Which of the copies is not as it was published."""

    FILES = "files"
    TABLES = "tables"
    POINTER = "pointer"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it was published: a file, a table's rows, or a pointer, of the database or of the files."""

    run: Run
    side: Side
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.run}: {self.where} {self.what}"


@dataclass(frozen=True, slots=True)
class RowsDigest:
    """How many rows there are and the sum of their hashes: the same in whatever order they come."""

    rows: int
    total: int


def verified(publisher: Publisher, contract: str | None = None) -> Iterator[tuple[Run, tuple[Difference, ...]]]:
    """Each published run of the contract, or of all, with what differs; an empty tuple where nothing does."""
    for run in published_runs(publisher, contract):
        yield run, verify_run(publisher, run)


def verify_run(publisher: Publisher, run: Run) -> tuple[Difference, ...]:
    """What of the run is not as it was published: files by their bytes, tables by the rows of whole files.

    Where a file is damaged its table is held against the manifest's count of rows alone, and where the manifest is,
    every table against the files that lie there.
    """
    manifest = whole_manifest(run)
    if manifest is None:
        files = [Difference(run, Side.FILES, f"file {MANIFEST}", "is missing or not the one that was published")]
        return (*files, *_differences_from_files(publisher.engine, run), *_pointer_differences(publisher, run))
    wrong = differences(manifest, run.folder)
    files = [Difference(run, Side.FILES, f"file {path}", "is missing or has other bytes") for path in wrong]
    files += [Difference(run, Side.FILES, f"file {path}", "was added") for path in added_files(manifest, run)]
    tables = _table_differences(publisher.engine, run, manifest, set(wrong))
    return (*files, *tables, *_pointer_differences(publisher, run))


def missing_views(publisher: Publisher) -> list[str]:
    """The views that readers should find in the database and do not."""
    with publisher.engine.connect() as connection:
        return [view.name for view in structure.missing_views(connection)]


def damaged_workings(publisher: Publisher) -> Iterator[tuple[str, list[str]]]:
    """Each extract and snapshot that is not as its manifest says, and its files that are missing or differ."""
    root = publisher.lake.root
    for path in sorted(path for part in ("extracts", "snapshots") for path in (root / part).rglob(MANIFEST)):
        wrong = _damaged_in(path.parent)
        if wrong:
            yield path.parent.relative_to(root).as_posix(), wrong


def _damaged_in(folder: Path) -> list[str]:
    try:
        return differences(read_manifest(folder), folder)
    except FileNotFoundError:  # its retention has just ended
        return []
    except (ValueError, KeyError, TypeError, AttributeError):  # it is no JSON, or that of something else
        return [MANIFEST]


def whole_manifest(run: Run) -> Manifest | None:
    """The run's manifest, or None where it is not the one that was published."""
    path = run.folder / MANIFEST
    return read_manifest(run.folder) if path.is_file() and sha256_of(path) == run.manifest_sha256 else None


def wrong_pointers(engine: Engine, run: Run) -> list[sa.Table]:
    """The database's pointers that should name the run, since none is newer, and do not, or with another's fence."""
    kind = sa.and_(publication.c.contract == run.unit.contract, publication.c.kind == run.unit.kind)
    kept = sa.and_(kind, publication.c.state == "published", publication.c.folder.is_not(None))
    newest = sa.select(publication.c.fence).where(kept).limit(1)
    of_night = newest.where(publication.c.as_of == run.unit.as_of).order_by(publication.c.fence.desc())
    of_all = newest.order_by(publication.c.as_of.desc(), publication.c.fence.desc())
    with engine.connect() as connection:
        should = [(night_pointer, connection.scalar(of_night)), (current_pointer, connection.scalar(of_all))]
        return [pointer for pointer, fence in should if fence == run.fence and not _is_named(connection, pointer, run)]


def _is_named(connection: Connection, pointer: sa.Table, run: Run) -> bool:
    names = {"contract": run.unit.contract, "kind": run.unit.kind, "as_of": run.unit.as_of}
    row = names | {"run_id": run.run_id, FENCE: run.fence}
    found = sa.select(sa.true()).where(*(pointer.c[name] == value for name, value in row.items()))
    return connection.scalar(found) is not None


def added_files(manifest: Manifest, run: Run) -> list[str]:
    """The Parquet files in the run's folder that the manifest does not name, and whoever reads all would read."""
    lying = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*.parquet")}
    return sorted(lying - {file.path for file in manifest.files})


def table_rows(engine: Engine, table: sa.Table, fence: int) -> Iterator[pa.Table]:
    """A run's rows in the table, in parts, as its schema's columns; dictionaries are written out."""
    schema = arrow_schema(SCHEMAS[table.name])
    wanted = sa.select(*(table.c[name] for name in schema.names)).where(table.c[FENCE] == fence)
    with engine.connect().execution_options(stream_results=True) as connection:
        for part in connection.execute(wanted).partitions(ROWS_AT_ONCE):
            columns = zip(*part, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.table(arrays, schema=schema)


def file_rows(files: Iterable[Path], schema: Table) -> Iterator[pa.Table]:
    """The files' rows, a file at a time, as the schema's columns; dictionaries are written out.

    A column that is younger than the run, and so in none of its files, is null, as it is in the table.
    """
    wanted = arrow_schema(schema)
    for file in files:
        rows = read_parquet([file])
        for field in wanted:
            if field.name not in (*rows.column_names, *schema.primary_key):
                rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        yield rows.select(schema.names).cast(wanted)


def digest_of(parts: Iterable[pa.Table], schema: Table) -> RowsDigest:
    """The digest of all the rows; DuckDB's hash serves, since both copies are hashed in one process."""
    columns = ", ".join(f'"{name}"' for name in schema.names)
    hashes = f"SELECT count(*), coalesce(sum(hash({columns})), 0) FROM part"  # noqa: S608 - names of ours
    rows = total = 0
    with duck() as connection:
        for part in parts:
            connection.register("part", part)
            [(counted, added)] = connection.sql(hashes).fetchall()
            rows, total = rows + int(counted), total + int(added)
    return RowsDigest(rows, total)


def _table_differences(engine: Engine, run: Run, manifest: Manifest, wrong: set[str]) -> Iterator[Difference]:
    for table in TABLES_OF[run.unit.kind]:
        schema, listed = SCHEMAS[table.name], manifest.files_in(table.name)
        kept = digest_of(table_rows(engine, table, run.fence), schema)
        if kept.rows != manifest.rows_in(table.name):
            what = f"holds {kept.rows:,} rows and the manifest {manifest.rows_in(table.name):,}"
            yield Difference(run, Side.TABLES, f"table {table.name}", what)
        elif wrong.isdisjoint(file.path for file in listed):
            files = (run.folder / file.path for file in listed)
            if kept != digest_of(file_rows(files, schema), schema):
                yield Difference(run, Side.TABLES, f"table {table.name}", "has other values than the files")


def _differences_from_files(engine: Engine, run: Run) -> Iterator[Difference]:
    """Of the tables, where no manifest tells how they should be."""
    first = TABLES_OF[run.unit.kind][0]
    for table in TABLES_OF[run.unit.kind]:
        schema, files = SCHEMAS[table.name], sorted((run.folder / table.name).glob("*.parquet"))
        kept = digest_of(table_rows(engine, table, run.fence), schema)
        if table is first and kept.rows != run.rows:
            what = f"holds {kept.rows:,} rows and {run.rows:,} were published"
            yield Difference(run, Side.TABLES, f"table {table.name}", what)
        elif files and kept != _digest_of_whole(files, schema, kept):
            yield Difference(run, Side.TABLES, f"table {table.name}", "has other values than the files")


def _digest_of_whole(files: list[Path], schema: Table, otherwise: RowsDigest) -> RowsDigest:
    """The digest of the files' rows, or the other one where a file cannot be read, which says nothing of the table."""
    try:
        return digest_of(file_rows(files, schema), schema)
    except (OSError, KeyError, pa.ArrowException):
        return otherwise


def _pointer_differences(publisher: Publisher, run: Run) -> Iterator[Difference]:
    """What is wrong with the pointers of the database and with `_CURRENT`, if the run is the one they should name."""
    yield from (
        Difference(run, Side.POINTER, f"table {pointer.name}", "does not name the run, which is the newest")
        for pointer in wrong_pointers(publisher.engine, run)
    )
    if not run.current:
        return
    try:
        folder = current_folder(publisher.lake, run.unit.contract, run.unit.kind)
    except AuditFailed:
        folder = run.folder  # it names the run whose manifest is told of already
    except (OSError, KeyError, json.JSONDecodeError):
        folder = None
    if folder != run.folder:
        yield Difference(run, Side.POINTER, "file _CURRENT", "does not name the run that readers of the database see")
