"""Readers of files: CSV as text, Parquet as it is typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from churn.errors import SourceEmpty, SourceMismatch, SourceMissing
from schemas.columns import Table

_BLOCK_ROWS = 65_536
_BLOCK_BYTES = 8 << 20


def file_reader(path: Path) -> CsvReader | ParquetReader:
    """The reader of a file, or of a folder of Parquet files; SourceMissing where there is neither."""
    if not path.exists():
        raise SourceMissing("there is no such file or folder", where=str(path), to_do="Check the path.")
    if path.is_dir() or path.suffix == ".parquet":
        return ParquetReader(path)
    if path.suffix == ".csv":
        return CsvReader(path)
    raise SourceMissing(
        f"a {path.suffix or 'nameless'} file cannot be read",
        where=str(path),
        to_do="Give a .csv or .parquet file, a folder of <table>.parquet files, or a database's URL.",
    )


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Reads every column as text, since only the contract knows what it is; UTF-8, with or without a mark."""

    path: Path

    def schema(self, table: Table) -> pa.Schema:
        """The columns of the file's first line."""
        if not self.path.stat().st_size:
            raise SourceEmpty("the file is empty", where=str(self.path), to_do="Ask the source for the file again.")
        with self._open({}) as reader:
            return pa.schema([(name, pa.string()) for name in reader.schema.names])

    def blocks(self, table: Table) -> Iterator[pa.Table]:
        """The rows in the file's order."""
        texts = {name: pa.string() for name in self.schema(table).names}
        with self._open(texts) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def _open(self, types: dict[str, pa.DataType]) -> csv.CSVStreamingReader:
        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Reads one Parquet file, or from a folder the file that is named like the table."""

    path: Path

    def schema(self, table: Table) -> pa.Schema:
        """The columns that the file has."""
        with self._open(table) as file:
            return file.schema_arrow.remove_metadata()

    def blocks(self, table: Table) -> Iterator[pa.Table]:
        """The rows in the file's order."""
        with self._open(table) as file:
            for batch in file.iter_batches(_BLOCK_ROWS, use_threads=False):
                yield pa.Table.from_batches([batch])

    def _open(self, table: Table) -> pq.ParquetFile:
        file = self.path / f"{table.name}.parquet" if self.path.is_dir() else self.path
        if not file.is_file():
            there = ", ".join(sorted(path.name for path in self.path.glob("*.parquet"))) or "no Parquet file"
            raise SourceMismatch(
                f"table {table.name} is missing: the folder holds {there}",
                where=str(self.path),
                to_do=f"Add {table.name}.parquet.",
            )
        return pq.ParquetFile(file)
