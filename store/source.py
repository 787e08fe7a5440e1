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
import pyarrow.parquet as pq

from churn.buckets import bucket_of
from churn.contract import arrow_schema, cast_table, conform
from churn.errors import SourceEmpty, SourceMismatch
from churn.keys import surrogate_keys
from schemas.columns import Table
from schemas.contract import Contract
from store.database_readers import RECORDED_AT
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
from store.readers import Reader, open_source, source_name
from store.settings import Settings

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
    _require_one_table_in_one_file(contract, source)
    lake, reader = Lake(settings.lake), open_source(source)
    with staging_folder(lake, "extract") as staged:
        intake = _Intake(contract, reader, source_name(source), staged, settings.buckets, on_batch or _nobody)
        taken = {table.name: intake.take(table) for table in contract.sources}
        manifest = describe(staged, _facts(contract, source, taken))
        write_manifest(manifest, staged)
        return read_extract(settle(staged, lake.extract(contract.name, manifest.digest)))


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
        where = f"{self.source}, table {table.name}"
        conform(self.reader.schema(table), table, where)
        rows, newest = 0, None
        with _BucketFiles.opened(self.folder / table.name, arrow_schema(table), self.buckets) as files:
            for block in self.reader.blocks(table):
                promised = self._promised(block, table, where)
                files.add(promised, bucket_of(promised[self.contract.key], self.buckets))
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


@dataclass(slots=True)
class _BucketFile:
    """Writes full row groups only, so that the bytes do not depend on the blocks in which the rows came."""

    writer: pq.ParquetWriter
    waiting: list[pa.Table]
    count: int = 0

    def add(self, rows: pa.Table) -> None:
        self.waiting.append(rows)
        self.count += len(rows)
        if self.count >= ROWS_PER_GROUP:
            self._write(self.count - self.count % ROWS_PER_GROUP)

    def close(self) -> None:
        self._write(self.count)
        self.writer.close()

    def _write(self, rows: int) -> None:
        if not rows:
            return
        together = pa.concat_tables(self.waiting).combine_chunks()
        self.writer.write_table(together[:rows], ROWS_PER_GROUP)
        self.count -= rows
        self.waiting = [together[rows:]] if self.count else []


@dataclass(frozen=True, slots=True)
class _BucketFiles:
    """One file for each bucket; a bucket without rows has an empty one."""

    files: tuple[_BucketFile, ...]

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, schema: pa.Schema, buckets: int) -> Iterator[_BucketFiles]:
        folder.mkdir()
        with ExitStack() as stack:
            writers = [stack.enter_context(parquet_writer(folder / bucket_file(n), schema)) for n in range(buckets)]
            files = cls(tuple(_BucketFile(writer, []) for writer in writers))
            yield files
            for file in files.files:
                file.close()

    def add(self, rows: pa.Table, buckets: npt.NDArray[np.int32]) -> None:
        """Hands each file the rows of its bucket, in the order in which they came."""
        order = np.argsort(buckets.astype(np.uint16), kind="stable")  # numpy sorts 16 bits by radix
        ends = np.cumsum(np.bincount(buckets, minlength=len(self.files)))
        sorted_rows = rows.take(pa.array(order))
        for file, end, count in zip(self.files, ends, np.diff(ends, prepend=0), strict=True):
            if count:
                file.add(sorted_rows[int(end - count) : int(end)])
