"""Reads what a job was given, a list of customers or a file of rows, as far as its limits allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from csv import Error as NoRow
from csv import reader
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from churn.errors import RequestError, SourceMismatch
from churn.handover import rearmed
from churn.job_rows import PROBLEM, TO_DO, columns_asked, read_rows, require_columns
from churn.quarantine import without_quarantined
from schemas.columns import Role
from schemas.contract import Contract
from schemas.jobs import MOST_ROWS, Given, JobAsked
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.decisions import snapshot_of
from store.jobs import Job
from store.lake import bucket_file, read_parquet
from store.publication import open_publisher
from store.runs import Run, published_runs
from store.settings import Settings

LARGEST_UNPACKED = 256 << 20  # bytes that a Parquet file may stand for
BATCH_ROWS = 10_000
UNKNOWN = "the newest published night has no such customer"
AS_OF = "as_of"
WHERE = "what the job was given"


def read_given(job: Job, given: Path, contract: Contract, settings: Settings) -> pa.Table:
    """A row for each that was given, in their order, as `read_rows` gives them.

    `as_of` in each says of which night the customers are, null where rows were given.

    ChurnError where nothing of it can be scored.
    """
    match job.given:
        case Given.CUSTOMERS:
            return _of_night(job, _asked(given).customer_ids or [], contract, settings)
        case Given.ROWS:
            found = _columns(_asked(given).rows or [], contract)
        case Given.CSV:
            found = _csv(given, contract)
        case Given.PARQUET:
            found = _parquet(given, contract)
    _require_some(found.num_rows)
    return _with_night(read_rows(found, contract), None)


def _asked(given: Path) -> JobAsked:
    return JobAsked.model_validate_json(given.read_bytes())


def _columns(rows: Sequence[Mapping[str, Any]], contract: Contract) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    require_columns(names, contract)  # a column costs a cell of each row, be it named in one alone
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _array(values: list[Any]) -> pa.Array:
    """Of one type; as text where they are of several, which then is read as that of a file is."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _csv(given: Path, contract: Contract) -> pa.Table:
    try:
        with given.open(encoding="utf-8-sig", newline="") as text:
            names = next(filter(None, reader(text)), [])
        require_columns(names, contract)
        # No other columns, as Arrow may see in a hostile heading what Python's reader does not.
        as_text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=names)
        rows = csv.read_csv(given, convert_options=as_text)
    except MemoryError:
        raise  # Arrow's own is one of its exceptions, and says nothing of the file
    except (pa.ArrowException, UnicodeDecodeError, NoRow) as failed:
        raise _unreadable("CSV in UTF-8", failed) from None
    return pa.table([rearmed(column) for column in rows.columns], names=rows.column_names)


def _parquet(given: Path, contract: Contract) -> pa.Table:
    try:
        texts = _texts(pq.read_schema(given), contract)
        with pq.ParquetFile(given, read_dictionary=texts) as file:
            _require_some(file.metadata.num_rows)
            read = pa.Table.from_batches(_within_limits(file.iter_batches(BATCH_ROWS, use_threads=False)))
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as failed:
        raise _unreadable("Parquet", failed) from None
    return pa.table([_decoded(column) for column in read.columns], names=read.column_names)


def _texts(found: pa.Schema, contract: Contract) -> list[str]:
    """The columns of text; SourceMismatch where one is of a type whose values may be of any size, as lists are."""
    require_columns(found.names, contract)
    texts = [field.name for field in found if _is_text(field.type)]
    strange = [field.name for field in found if field.name not in texts and not _is_small(field.type)]
    if strange:
        raise SourceMismatch(
            f"it has columns of types that no customer has: {', '.join(strange)}", where=WHERE, to_do=TO_DO
        )
    return texts


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_small(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _within_limits(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, as long as they are not too large: what the file says of its size need not be true."""
    rows, unpacked = 0, 0
    for batch in batches:
        rows += batch.num_rows
        unpacked += sum(_unpacked(column) for column in batch.columns)
        _require_some(rows)
        if unpacked > LARGEST_UNPACKED:
            to_do = f"Send at most {LARGEST_UNPACKED:,}, or fewer rows."
            raise RequestError(f"it holds more than {LARGEST_UNPACKED:,} bytes", where=WHERE, to_do=to_do)
        yield batch


def _unpacked(column: pa.Array) -> int:
    """The bytes of a column once each row has its own text; until then a small file may stand for a very large one."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    texts = pc.binary_length(column.dictionary).take(column.indices)
    return int(column.indices.nbytes) + (pc.sum(texts.cast(pa.int64())).as_py() or 0)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)


def _require_some(rows: int) -> None:
    if not 0 < rows <= MOST_ROWS:
        raise RequestError(f"it has {rows:,} rows", where=WHERE, to_do=f"Send one to {MOST_ROWS:,}.")


def _unreadable(kind: str, failed: Exception) -> SourceMismatch:
    said = str(failed).partition("\n")[0][:200]
    return SourceMismatch(f"it is no {kind}: {said}", where=WHERE, to_do="Correct the file.")


def _of_night(job: Job, asked: list[str], contract: Contract, settings: Settings) -> pa.Table:
    """The customers' rows of the newest published night, those whom the owner may see; the others have a problem."""
    publisher = open_publisher(settings)
    runs = published_runs(publisher, contract.name)
    newest = next((run for run in runs if run.unit.kind == SCORES.name and run.current), None)
    snapshot = snapshot_of(newest, publisher.lake) if newest else None
    if newest is None or snapshot is None:
        raise RequestError("no night of that base is kept", where=contract.name, to_do="Send rows, or score a night.")
    keys = pa.array(asked, pa.string())
    found = _customers(snapshot, newest, keys, contract)
    found = found.filter(_may_be_seen(found, contract, job))
    places = pc.index_in(keys, value_set=found[contract.key].combine_chunks().cast(pa.string()))
    rows = found.take(places)
    rows = rows.set_column(rows.column_names.index(contract.key), contract.key, keys)
    problem = pc.if_else(pc.is_null(places), UNKNOWN, pa.scalar(None, pa.string()))
    return _with_night(rows.append_column(PROBLEM, problem), newest.unit.as_of)


def _with_night(rows: pa.Table, as_of: date | None) -> pa.Table:
    return rows.append_column(AS_OF, pa.repeat(pa.scalar(as_of, pa.date32()), rows.num_rows))


def _customers(snapshot: Path, run: Run, keys: pa.Array, contract: Contract) -> pa.Table:
    """Those of the customers who were scored that night, bucket by bucket."""
    from churn.buckets import bucket_of  # compiled code

    buckets = len(list((run.folder / SCORES.name).glob("bucket=*.parquet")))
    aside = read_parquet(sorted((run.folder / QUARANTINE.name).glob("*.parquet")), ["file", "row"])
    names = [column.name for column in columns_asked(contract)]
    parts = []
    for bucket in np.unique(bucket_of(keys, buckets)).tolist():
        file = bucket_file(bucket)
        rows = without_quarantined(read_parquet([snapshot / file], names), aside, file)
        parts.append(rows.filter(pc.is_in(rows[contract.key].cast(pa.string()), value_set=keys)))
    return pa.concat_tables(parts)


def _may_be_seen(rows: pa.Table, contract: Contract, job: Job) -> pa.ChunkedArray | pa.Array:
    seen = pa.array(np.ones(rows.num_rows, bool))
    for role, names in ((Role.SEGMENT, job.segments), (Role.REGION, job.regions)):
        column = contract.one(role)
        if names and column:
            seen = pc.and_(seen, pc.is_in(rows[column.name].cast(pa.string()), value_set=pa.array(names)))
        elif names:
            seen = pc.and_(seen, pa.scalar(False))
    return seen
