"""The lake: where each Parquet file lies, how it gets there whole, and how it is asked."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

# Arrow's functions and Parquet take 15 MB, which whoever writes a text here, or reads one, needs not.
if TYPE_CHECKING:
    import duckdb
    import pyarrow.parquet as pq

MANIFEST = "manifest.json"
ROWS_PER_GROUP = 65_536
# Against zstd level 1 on score rows: 15-30 % less CPU to write and to read for a fifth more disk.
COMPRESSION = "lz4"
_DIGEST_LETTERS = 16
_READ_BYTES = 1 << 20
UNREADABLE = (OSError, pa.ArrowException)  # what reading a file raises that is damaged, or gone


@dataclass(frozen=True, slots=True)
class Lake:
    """The folders of the lake. A folder that is named after its content or its run never changes once it is there."""

    root: Path

    def extract(self, contract: str, digest: str) -> Path:
        """The source tables with that content, one folder per table."""
        return self.root / "extracts" / contract / digest[:_DIGEST_LETTERS]

    def snapshot(self, contract: str, as_of: date, known_at: datetime, digest: str) -> Path:
        """The customers as of a date, as the extract of that digest knew them at a moment."""
        moment = f"{known_at:%Y%m%dT%H%M%S}-{digest[:_DIGEST_LETTERS]}"
        return self.root / "snapshots" / contract / _night(as_of) / moment

    def published(self, contract: str, kind: str) -> Path:
        """All published runs of a kind, `scores` or `outreach`."""
        return self.root / "runs" / contract / kind

    def run(self, contract: str, kind: str, as_of: date, run_id: str) -> Path:
        """What one run published for a date."""
        return self.published(contract, kind) / _night(as_of) / run_id

    @property
    def staging(self) -> Path:
        """Where folders grow until they are whole; what a dead run left here is nobody's."""
        return self.root / "staging"


def bucket_file(bucket: int) -> str:
    """The name of a bucket's file."""
    return f"bucket={bucket:02d}.parquet"


def _night(as_of: date) -> str:
    return f"as_of={as_of:%Y-%m-%d}"


def write_parquet(table: pa.Table, path: Path) -> None:
    """Writes the table whole or not at all; equal tables give equal bytes, however they are chunked or coded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, parquet_writer(beside, table.schema) as writer:
        writer.write_table(_in_one_form(table), ROWS_PER_GROUP)


def _in_one_form(table: pa.Table) -> pa.Table:
    """The table in one piece, its dictionaries with the words that occur, in order: a file holds them as they are."""
    whole = table.replace_schema_metadata().combine_chunks()
    for place, column in enumerate(whole.columns):
        if pa.types.is_dictionary(column.type) and len(column):
            whole = whole.set_column(place, whole.field(place), _recoded(column.chunk(0)))
    return whole


def _recoded(texts: pa.DictionaryArray) -> pa.DictionaryArray:
    import pyarrow.compute as pc

    occurs = np.bincount(texts.indices.drop_null().to_numpy(), minlength=len(texts.dictionary))
    words = texts.dictionary.take(pa.array(np.flatnonzero(occurs))).unique().sort()
    recode = pc.index_in(texts.dictionary, words).cast(texts.type.index_type)
    return pa.DictionaryArray.from_arrays(recode.take(texts.indices), words)


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer in the lake's one format; close it before the file is read."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema.remove_metadata(), compression=COMPRESSION)


def write_text(text: str, path: Path) -> None:
    """Replaces a small file whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Puts a copy of a file at its place whole or not at all."""
    with replacing(target) as beside:
        shutil.copyfile(source, beside)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the path to write into; it takes the path's place whole, or is gone where writing failed."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield beside
        sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)


def left_beside(path: Path) -> list[Path]:
    """The files that writers who were killed left beside a path that they were replacing."""
    return list(path.parent.glob(f".{path.name}.*.tmp"))


@contextmanager
def staging_folder(lake: Lake, name: str) -> Iterator[Path]:
    """A fresh folder to write into, gone afterwards unless `settle` has moved it to its place."""
    make_folder(lake.staging)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=lake.staging))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(staged: Path, place: Path) -> Path:
    """Moves a folder with its manifest to its place for good; an equal one that already lies there stays."""
    sync_whole(staged)
    return move_whole(staged, place)


def sync_whole(folder: Path) -> None:
    """Waits until a folder and all that is in it would survive a loss of power."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


def move_whole(staged: Path, place: Path) -> Path:
    """Gives a folder that was synced its place; an equal one that already lies there stays."""
    make_folder(place.parent)
    try:
        staged.rename(place)
    except OSError:
        if not place.is_dir() or read_manifest(place).digest != read_manifest(staged).digest:
            raise
        shutil.rmtree(staged)
    sync(place.parent)
    return place


def make_folder(folder: Path) -> Path:
    """Makes a folder and those that hold it, unless they are there, so that their names survive a loss of power."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)
    return folder


def remove_folder(folder: Path) -> None:
    """Removes a folder with all that is in it; one that is not there is no failure."""
    shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Waits until a file's or a folder's content would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file that a manifest vouches for; `path` is relative to the manifest's folder."""

    path: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies in a folder, and `facts` about it that are text or numbers."""

    files: tuple[ManifestFile, ...]
    facts: dict[str, Any]

    @property
    def digest(self) -> str:
        """The sha256 of the content: of the files' names and bytes, not of the facts."""
        lines = "".join(f"{file.sha256}  {file.path}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(file.rows for file in self.files)

    def files_in(self, folder: str) -> list[ManifestFile]:
        """The files below a folder."""
        return [file for file in self.files if file.path.startswith(f"{folder}/")]

    def rows_in(self, folder: str) -> int:
        """The rows of the files below a folder."""
        return sum(file.rows for file in self.files_in(folder))


def describe(folder: Path, facts: dict[str, Any]) -> Manifest:
    """The manifest of the Parquet files that lie in the folder now."""
    paths = sorted(folder.rglob("*.parquet"), key=lambda path: path.relative_to(folder).as_posix())
    return Manifest(tuple(_described(path, folder) for path in paths), facts)


def _described(path: Path, folder: Path) -> ManifestFile:
    return ManifestFile(path.relative_to(folder).as_posix(), rows_of(path), sha256_of(path))


def write_manifest(manifest: Manifest, folder: Path) -> str:
    """Writes the folder's manifest.json and gives its sha256."""
    files = [{"path": file.path, "rows": file.rows, "sha256": file.sha256} for file in manifest.files]
    content = {"digest": manifest.digest, "facts": manifest.facts, "files": files}
    write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", folder / MANIFEST)
    return sha256_of(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a settled folder; FileNotFoundError where there is none."""
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return Manifest(tuple(ManifestFile(**file) for file in content["files"]), content["facts"])


def bytes_in(path: Path) -> int:
    """The bytes of a file, or of all files below a folder, but for those that go meanwhile."""
    found = [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]
    return sum(map(_bytes_of, found))


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def differences(manifest: Manifest, folder: Path) -> list[str]:
    """The manifest's files that are missing or have other bytes; empty where the folder is as it was written."""
    return [file.path for file in manifest.files if not _as_written(folder / file.path, file.sha256)]


def _as_written(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def read_parquet(paths: Iterable[Path], columns: list[str] | None = None) -> pa.Table:
    """The rows of the files, in the order of the paths, on the calling thread alone."""
    import pyarrow.parquet as pq

    # Not read_table: that makes a column of each folder called name=value, and imports pandas.
    return pa.concat_tables([pq.ParquetFile(path).read(columns, use_threads=False) for path in paths])


def fixed_columns(paths: Iterable[Path]) -> dict[str, Any]:
    """The columns that have one and the same value in every row of all the files, told from their footers alone."""
    import pyarrow.parquet as pq

    footers = [pq.read_metadata(path) for path in paths]
    ranges = [
        _range(footer.row_group(group).column(place))
        for footer in footers
        for group in range(footer.num_row_groups)
        for place in range(footer.num_columns)
    ]
    seen: dict[str, set[Any]] = {}
    for name, low, high in ranges:
        seen.setdefault(name, set()).update((low, high))
    return {name: values.pop() for name, values in seen.items() if len(values) == 1 and None not in values}


def _range(column: pq.ColumnChunkMetaData) -> tuple[str, Any, Any]:
    """The column's name, lowest and highest value; None for both where they do not tell of every row."""
    told = column.statistics
    # Footers pass over NaN, so that a column of numbers may hold more than its lowest and its highest.
    known = told is not None and column.physical_type not in ("FLOAT", "DOUBLE")
    whole = known and told.has_min_max and told.has_null_count and not told.null_count
    return column.path_in_schema, told.min if whole else None, told.max if whole else None


def rows_of(path: Path) -> int:
    """The rows of a Parquet file, read from its footer alone."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


@contextmanager
def duck(
    threads: int = 1, *, memory_limit: str = "1GB", spill: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory that asks Parquet files and calls nobody; what does not fit is spilled to a folder."""
    if spill is not None:
        spill.mkdir(parents=True, exist_ok=True)
    import duckdb  # 20 MB that the API, which reads artifacts through this module, need not carry

    with tempfile.TemporaryDirectory(prefix="duck-", dir=spill) as folder:
        connection = duckdb.connect(":memory:", config=_quiet(threads, memory_limit, folder))
        try:
            connection.execute("SET enable_progress_bar = false")  # no global option: connect() refuses it
            yield connection
        finally:
            connection.close()


def _quiet(threads: int, memory_limit: str, folder: str) -> dict[str, Any]:
    return {
        "threads": threads,
        "memory_limit": memory_limit,
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
