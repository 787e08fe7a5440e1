"""Mends a published run: its files from the table's rows, or the table's rows from its files; never both at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.schema import CreateTable

from churn.buckets import bucket_of
from churn.contract import arrow_schema
from churn.errors import AuditFailed
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store import lake as files
from store.lake import MANIFEST, Manifest, bucket_file
from store.loading import loader
from store.partitions import complete_run_table, is_attached, make_run_table, run_table
from store.publication import Publisher, manifest_facts
from store.runs import Run
from store.structure import make_missing_views
from store.tables import FENCE, TABLES_OF, alone
from store.verification import (
    SCHEMAS,
    Difference,
    Side,
    added_files,
    file_rows,
    table_rows,
    whole_manifest,
    wrong_pointers,
)

# The tables whose rows lie in one file, its name and the columns that order it; the others' lie in buckets, by the key.
ONE_FILE = {
    OUTREACH.name: ("list.parquet", ("rank",)),
    TEAMS.name: ("teams.parquet", ("team",)),
    QUARANTINE.name: ("rows.parquet", ("file", "row", "column", "rule")),
}
KEY = "customer_id"

# The texts that a night writes as places in a dictionary: asked where no file of the run is left that tells.
_REASONS = tuple(f"{reason}_{part}" for reason in ("reason_1", "reason_2", "reason_3") for part in ("feature", "value"))
CODED = {
    SCORES.name: ("band", *_REASONS, "relief_1_feature", "relief_1_value"),
    OUTREACH.name: ("team", "action", "channel", *_REASONS),
    STATUSES.name: ("status", "rule", "team", "action", "arm", "model_arm", "model_digest"),
}


def rebuild_side(publisher: Publisher, found: Sequence[Difference], side: Side, buckets: int) -> Iterator[str]:
    """Mends that copy of a run of which these differences were found, and the pointer; tells each thing it mended.

    AuditFailed where the other copy is no better.
    """
    run, sides = found[0].run, {difference.side for difference in found}
    if side in sides and side is Side.FILES:
        yield from (f"file {path}" for path in rebuild_files(publisher, run, buckets))
    elif side in sides:
        yield from (f"table {table}" for table in rebuild_tables(publisher, run))
    if Side.POINTER in sides:
        yield from (f"table {pointer}" for pointer in point_again(publisher, run))
    if Side.POINTER in sides and publisher.reconcile(run.unit.contract, run.unit.kind):
        yield "file _CURRENT"


def rebuild_files(publisher: Publisher, run: Run, buckets: int) -> tuple[str, ...]:
    """Writes those of the run's files that are damaged or missing again, from the table's rows, and gives their paths.

    `buckets` is how many files there were, where neither manifest nor folder tells. The bytes are those that were
    published, or nothing is changed and AuditFailed is raised. Each file takes its place whole.
    """
    with files.staging_folder(publisher.lake, "rebuilt") as staged:
        for table in TABLES_OF[run.unit.kind]:
            if _had_files(run, table.name):
                _write_files(publisher, run, table, staged / table.name, buckets)
        manifest = files.describe(staged, manifest_facts(run.unit, run.content_key))
        if files.write_manifest(manifest, staged) != run.manifest_sha256:
            raise AuditFailed(
                "the tables' rows do not give the files that were published",
                where=str(run),
                to_do="Rebuild the tables where the files are whole; else score the night again with --force.",
            )
        return tuple(_put_back(manifest, staged, run))


def rebuild_tables(publisher: Publisher, run: Run) -> tuple[str, ...]:
    """Replaces the run's rows by those of its files, in one moment for the readers of each table; gives the tables.

    AuditFailed where a file is damaged.
    """
    manifest = whole_manifest(run)
    if manifest is None or files.differences(manifest, run.folder):
        raise AuditFailed(
            "the files are not as they were published",
            where=str(run),
            to_do="Rebuild the files where the tables are whole; else score the night again with --force.",
        )
    for table in TABLES_OF[run.unit.kind]:
        paths = [run.folder / file.path for file in manifest.files_in(table.name)]
        with _loaded_beside(publisher.engine, table, run.fence, paths), publisher.engine.begin() as connection:
            _replace_rows(connection, table, run.fence)
    return tuple(table.name for table in TABLES_OF[run.unit.kind])


def point_again(publisher: Publisher, run: Run) -> tuple[str, ...]:
    """Makes those of the database's pointers name the run that should and do not; gives their names."""
    night = {"contract": run.unit.contract, "kind": run.unit.kind, "as_of": run.unit.as_of}
    with alone(publisher.engine) as connection:
        wrong = wrong_pointers(publisher.engine, run)
        for pointer in wrong:
            place = (column == night[column.name] for column in pointer.primary_key)
            connection.execute(sa.delete(pointer).where(*place))
            connection.execute(sa.insert(pointer).values(night | {"run_id": run.run_id, FENCE: run.fence}))
    return tuple(pointer.name for pointer in wrong)


def rebuild_views(publisher: Publisher) -> None:
    """Makes the views again that somebody dropped; whoever does not own the tables leaves that to their owner."""
    make_missing_views(publisher.engine)


def _put_back(manifest: Manifest, staged: Path, run: Run) -> Iterator[str]:
    damaged = files.differences(manifest, run.folder)
    if whole_manifest(run) is None:
        damaged.append(MANIFEST)
    for path in damaged:
        (run.folder / path).parent.mkdir(parents=True, exist_ok=True)
        files.copy_file(staged / path, run.folder / path)
        yield path
    for path in added_files(manifest, run):
        (run.folder / path).unlink()
        yield path


def _write_files(publisher: Publisher, run: Run, table: sa.Table, folder: Path, buckets: int) -> None:
    schema = _written_schema(run, table.name)
    parts = [arrow_schema(SCHEMAS[table.name]).empty_table(), *table_rows(publisher.engine, table, run.fence)]
    rows = pa.concat_tables(parts).combine_chunks()
    if table.name in ONE_FILE:
        name, order = ONE_FILE[table.name]
        files.write_parquet(_coded(rows.sort_by([(column, "ascending") for column in order]), schema), folder / name)
        return
    count = _bucket_count(run, table.name) or buckets
    rows = rows.sort_by(KEY)
    places = bucket_of(rows[KEY], count)
    for bucket in range(count):
        files.write_parquet(_coded(rows.filter(pa.array(places == bucket)), schema), folder / bucket_file(bucket))


def _had_files(run: Run, table: str) -> bool:
    """Whether the run has the table at all: an earlier release may have had one fewer."""
    manifest = whole_manifest(run)
    return manifest is None or bool(manifest.files_in(table))


def _bucket_count(run: Run, table: str) -> int:
    """How many bucket files the manifest names, or how many lie there where it is damaged; 0 where nothing tells."""
    manifest = whole_manifest(run)
    return len(manifest.files_in(table)) if manifest else len(list((run.folder / table).glob("bucket=*.parquet")))


def _written_schema(run: Run, table: str) -> pa.Schema:
    """The schema of the files, which says whose texts are coded: that of any file of the run that can still be read."""
    for path in sorted((run.folder / table).glob("*.parquet")):
        with suppress(OSError, pa.ArrowException):
            return pq.read_schema(path).remove_metadata()
    schema = arrow_schema(SCHEMAS[table])
    for name in CODED.get(table, ()):
        place = schema.get_field_index(name)
        schema = schema.set(place, schema.field(place).with_type(pa.dictionary(pa.int32(), pa.string())))
    return schema


def _coded(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows as the files have them: some texts as places in a dictionary."""
    columns = [_as(rows[field.name].combine_chunks(), field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    whole = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    return whole.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else whole.cast(kind)


@contextmanager
def _loaded_beside(engine: Engine, table: sa.Table, fence: int, paths: list[Path]) -> Iterator[None]:
    """The files' rows in a table of their own, of which readers know nothing, and which is gone afterwards."""
    beside = _beside(table, fence)
    columns = (sa.Column(column.name, column.type, nullable=column.nullable) for column in table.columns)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {beside}")
        connection.execute(CreateTable(sa.Table(beside, sa.MetaData(), *columns)))
    try:
        with loader(engine) as load:
            for rows in file_rows(paths, SCHEMAS[table.name]):
                load.append(beside, rows.append_column(FENCE, pa.repeat(pa.scalar(fence, pa.int64()), len(rows))))
            load.commit()
        yield
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {beside}")


def _replace_rows(connection: Connection, table: sa.Table, fence: int) -> None:
    """Puts the rows that were loaded beside in the place of those that are there."""
    beside = sa.table(_beside(table, fence), *(sa.column(column.name) for column in table.columns))
    if connection.dialect.name != "sqlite" and not is_attached(connection, table, fence):
        _attach_empty(connection, table, fence)
    connection.execute(sa.delete(table).where(table.c[FENCE] == fence))
    connection.execute(sa.insert(table).from_select(list(table.columns.keys()), sa.select(beside)))


def _attach_empty(connection: Connection, table: sa.Table, fence: int) -> None:
    """Makes the run's partition, which is gone, anew."""
    make_run_table(connection, table, fence, without=(FENCE,))
    complete_run_table(connection, table, fence, {FENCE: fence})
    attach = f"ALTER TABLE {table.name} ATTACH PARTITION {run_table(table, fence)} FOR VALUES IN ({fence})"
    connection.exec_driver_sql(attach)


def _beside(table: sa.Table, fence: int) -> str:
    return f"{table.name}_rebuilt_{fence}"
