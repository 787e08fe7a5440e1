"""Takes a source in: every table checked, cast, split by customer, and kept under the digest of its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.buckets import bucket_of
from churn.casting import cast_table
from churn.contract import arrow_schema, conform
from churn.errors import SourceEmpty, SourceMismatch
from churn.keys import surrogate_keys
from schemas.columns import Table
from schemas.contract import Contract
from store.lake import (
    ROWS_PER_GROUP,
    Lake,
    bucket_file,
    describe,
    parquet_writer,
    read_manifest,
    settle,
    staging_folder,
    write_manifest,
)
from store.readers import Reader, open_source
from store.settings import Settings
from store.source_names import source_name

RECORDED_AT = "recorded_at"
OnBatch = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Extract:
    """A source as it was taken in. `rows` counts each table's; `newest` is when the latest fact was recorded.

    `digest` is of the content alone: the same rows from another kind of source have the same one.
    """

    contract: str
    digest: str
    folder: Path
    rows: dict[str, int]
    newest: datetime | None


def extract(contract: Contract, source: str, settings: Settings, on_batch: OnBatch | None = None) -> Extract:
    """Copies the source's tables to Parquet, one file for each bucket of customers, in bounded memory.

    The source is a SQLAlchemy URL, a .csv or .parquet file, or a folder of <table>.parquet files; `on_batch` hears the
    table and the rows of each block. Raises SourceUnreachable, SourceMismatch or SourceEmpty, and then keeps nothing.
    """
    lake, reader = Lake(settings.lake), require_source(contract, source)
    with staging_folder(lake, "extract") as staged:
        intake = _Intake(contract, reader, source, staged, settings.buckets, on_batch or _nobody)
        taken = {table.name: intake.take(table) for table in contract.sources}
        manifest = describe(staged, _facts(contract, source, taken))
        write_manifest(manifest, staged)
        return read_extract(settle(staged, lake.extract(contract.name, manifest.digest)))


def require_source(contract: Contract, source: str) -> Reader:
    """The reader of a source that has the contract's tables, with columns of their types; no row of them is read.

    Raises SourceUnreachable, SourceMismatch, or SourceEmpty where a file has nothing in it at all.
    """
    _require_one_table_in_one_file(contract, source)
    reader = open_source(source)
    for table in contract.sources:
        conform(reader.schema(table), table, _where(source, table))
    return reader


def read_extract(folder: Path) -> Extract:
    """The extract that was kept in the folder; FileNotFoundError where there is none."""
    manifest = read_manifest(folder)
    facts = manifest.facts
    newest = datetime.fromisoformat(facts["newest"]) if facts["newest"] else None
    return Extract(facts["contract"], manifest.digest, folder, facts["rows"], newest)


@dataclass(frozen=True, slots=True)
class _Taken:
    rows: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class _Intake:
    """Takes one table after another into a folder."""

    contract: Contract
    reader: Reader
    source: str
    folder: Path
    buckets: int
    on_batch: OnBatch

    def take(self, table: Table) -> _Taken:
        where, rows, newest = _where(self.source, table), 0, None
        with _bucket_files(self.folder / table.name, table, self.buckets) as files:
            for block in self.reader.blocks(table):
                promised = self._promised(block, table, where)
                _split(promised, bucket_of(promised[self.contract.key], self.buckets), files)
                rows, newest = rows + len(block), _newer(newest, promised)
                self.on_batch(table.name, len(block))
        if not rows:
            raise SourceEmpty("the table has no rows", where=where, to_do="Ask the source for its rows again.")
        return _Taken(rows, newest)

    def _promised(self, block: pa.Table, table: Table, where: str) -> pa.Table:
        """The block's rows as the contract promises them, with the key that is made from them where one is."""
        rows = cast_table(block, table, where)
        if self.contract.surrogate_key and self.contract.key not in rows.column_names:
            rows = rows.append_column(self.contract.key, surrogate_keys(rows))
        return rows.select(table.names)


def _where(source: str, table: Table) -> str:
    return f"{source_name(source)}, table {table.name}"


def _newer(newest: datetime | None, rows: pa.Table) -> datetime | None:
    if RECORDED_AT not in rows.column_names:
        return newest
    latest: datetime | None = pc.max(rows[RECORDED_AT]).as_py()
    return max(filter(None, (newest, latest)), default=None)


def _facts(contract: Contract, source: str, taken: dict[str, _Taken]) -> dict[str, Any]:
    newest = max(filter(None, (table.newest for table in taken.values())), default=None)
    return {
        "contract": contract.name,
        "source": source_name(source),
        "rows": {name: table.rows for name, table in taken.items()},
        "newest": newest.isoformat() if newest else None,
    }


def _require_one_table_in_one_file(contract: Contract, source: str) -> None:
    if len(contract.sources) > 1 and Path(source).is_file():
        tables = ", ".join(table.name for table in contract.sources)
        raise SourceMismatch(
            f"one file holds one table, and the contract {contract.name} has {len(contract.sources)}: {tables}",
            where=source,
            to_do="Name a database, or a folder with a Parquet file for each table.",
        )


def _nobody(table: str, rows: int) -> None:
    """Hears of a block, and does nothing."""


@contextmanager
def _bucket_files(folder: Path, table: Table, buckets: int) -> Iterator[list[pa.RecordBatchStreamWriter]]:
    """Writers for the table's bucket files; each file is put in order at the end, also one without rows."""
    folder.mkdir()
    parts = {folder / f"{bucket_file(bucket)}.part": folder / bucket_file(bucket) for bucket in range(buckets)}
    with ExitStack() as stack:
        yield [stack.enter_context(_part_writer(part, arrow_schema(table))) for part in parts]
    for part, file in parts.items():
        with pa.memory_map(str(part)) as unordered, parquet_writer(file, arrow_schema(table)) as writer:
            writer.write_table(_in_order(pa.ipc.open_stream(unordered).read_all(), table), ROWS_PER_GROUP)
        part.unlink()


def _part_writer(part: Path, schema: pa.Schema) -> pa.RecordBatchStreamWriter:
    """A part is read once, by us: Arrow's own format costs a fifth of what Parquet does."""
    return pa.ipc.new_stream(str(part), schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def _split(rows: pa.Table, buckets: npt.NDArray[np.int32], files: list[pa.RecordBatchStreamWriter]) -> None:
    """Writes each row to the file of its bucket."""
    order = np.argsort(buckets.astype(np.uint16), kind="stable")  # numpy sorts 16 bits by radix
    ends = np.cumsum(np.bincount(buckets, minlength=len(files)))
    together = rows.take(pa.array(order))
    for file, end, count in zip(files, ends.tolist(), np.diff(ends, prepend=0).tolist(), strict=True):
        if count:
            file.write_table(together[end - count : end])


def _in_order(rows: pa.Table, table: Table) -> pa.Table:
    """The rows by key, by the time they were recorded and by all the rest, so that equal content gives equal bytes."""
    recorded = [RECORDED_AT] if RECORDED_AT in table.names else []
    order = dict.fromkeys([*table.primary_key, *recorded, *table.names])
    return rows.combine_chunks().sort_by([(name, "ascending") for name in order])
