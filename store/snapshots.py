"""Runs the snapshot's SQL over an extract's Parquet, bucket by bucket, and writes the customers as of a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import RequestError, SourceEmpty, TrainingError
from churn.snapshot import (
    CONTEXT_TABLES,
    Moment,
    TrainingWindow,
    context_sql,
    covered_months_sql,
    customer_sql,
    departures_sql,
    known_departures_sql,
    month_after,
)
from schemas.columns import Role
from schemas.contract import Contract
from store.lake import bucket_file, duck, write_parquet

CONTEXT = "context"  # the folder of the context tables, beside the buckets' files


def build_context(extract: Path, contract: Contract, when: Moment, snapshot: Path) -> Path:
    """Writes into the snapshot's folder what no bucket can know alone; must be there before its buckets are built.

    A flat contract has no context. Raises RequestError where the extract cannot describe that date.
    """
    context = snapshot / CONTEXT
    if contract.flat:
        return context
    _require_covered(extract, contract, when.as_of)
    with _sources(extract, contract, range(bucket_count(extract, contract))) as connection:
        for name in CONTEXT_TABLES:
            write_parquet(_asked(connection, context_sql(name), when), context / f"{name}.parquet")
    return context


def build_bucket(extract: Path, contract: Contract, when: Moment, bucket: int, snapshot: Path) -> int:
    """Writes one bucket of the snapshot, one row per live customer in order of the key, and gives the rows."""
    customers = _customers(extract, contract, when, [bucket], snapshot / CONTEXT)
    write_parquet(customers, snapshot / bucket_file(bucket))
    return int(customers.num_rows)


def training_rows(
    extract: Path, contract: Contract, window: TrainingWindow, buckets: Sequence[int] | None = None
) -> pa.Table:
    """The customers of these buckets, or of all, as of each date of the window and as known when it began.

    Who had left before a date is out, even where the news of it came after the date.

    Two columns follow those of the snapshot: `as_of`, and `label`, which is 1 where the customer left within the
    contract's horizon, else 0. Raises RequestError where the labels of a date cannot be known yet.
    """
    chosen = range(bucket_count(extract, contract)) if buckets is None else buckets
    if contract.flat:
        return _flat_lessons(extract, contract, window, chosen)
    window.require_matured(contract.horizon_days)
    return pa.concat_tables([_lessons(extract, contract, window.at(as_of), chosen) for as_of in window.as_ofs])


def known_departures(extract: Path, contract: Contract, known_at: datetime) -> pa.Table:
    """Who left on which day, as far as it is known at a moment: customer_id, ordered, and churned_on.

    RequestError for a flat contract, which says of nobody when he left.
    """
    if contract.flat:
        raise RequestError(
            "a single table does not say who left when", where=contract.name, to_do="Measure a contract with events."
        )
    with _sources(extract, contract, range(bucket_count(extract, contract))) as connection:
        return connection.sql(known_departures_sql(), params={"known_at": known_at}).to_arrow_table()


def latest_as_of(extract: Path, contract: Contract) -> date:
    """The day after the newest month of usage: the last date that the extract describes in full."""
    return month_after(_covered_months(extract, contract)[1])


def first_as_of(extract: Path, contract: Contract) -> date:
    """The day after the oldest month of usage: the first date that the extract describes at all."""
    return month_after(_covered_months(extract, contract)[0])


def bucket_count(extract: Path, contract: Contract) -> int:
    """How many buckets the extract was split into."""
    return len(list((extract / contract.sources[0].name).glob("bucket=*.parquet")))


def _lessons(extract: Path, contract: Contract, labelled: Moment, buckets: Sequence[int]) -> pa.Table:
    """`labelled` is known late, when the labels had arrived; the features are those known when the date began.

    A customer who turned out to have left before the date is no lesson: there was nobody left to keep or to lose.
    """
    then = Moment.at(labelled.as_of)
    with TemporaryDirectory() as folder:
        context = build_context(extract, contract, then, Path(folder))
        customers = _customers(extract, contract, then, buckets, context)
    had_left, leavers = _departures(extract, contract, labelled, buckets)
    customers = customers.filter(pc.invert(pc.is_in(customers[contract.key], value_set=had_left)))
    label = pc.is_in(customers[contract.key], value_set=leavers).cast(pa.int64())
    return _with_lesson(customers, label, then.as_of)


def _flat_lessons(extract: Path, contract: Contract, window: TrainingWindow, buckets: Sequence[int]) -> pa.Table:
    """A flat contract has one snapshot, with its labels: it stands for the window's last date.

    Of whom nobody says yet whether he left, nothing is learnt; he is who is scored.
    """
    label = contract.one(Role.LABEL)
    if label is None:
        raise RequestError("no column has the role label", where=contract.name, to_do="Name the label in the contract.")
    then = Moment.at(window.as_ofs[-1])
    customers = _customers(extract, contract, then, buckets)
    customers = customers.filter(pc.is_valid(customers[label.name]))
    if not customers.num_rows:
        raise TrainingError(
            "no row says whether its customer left",
            where=f"{contract.name}, column {label.source_name}",
            to_do="Train on a table whose outcomes are known, and score with that model afterwards.",
        )
    labels = customers[label.name].cast(pa.int64())
    return _with_lesson(customers.drop_columns([label.name]), labels, then.as_of)


def _with_lesson(customers: pa.Table, label: pa.ChunkedArray, as_of: date) -> pa.Table:
    dates = pa.repeat(pa.scalar(as_of, pa.date32()), customers.num_rows)
    return customers.append_column("as_of", dates).append_column("label", label)


def _customers(
    extract: Path, contract: Contract, when: Moment, buckets: Sequence[int], context: Path = Path()
) -> pa.Table:
    with _sources(extract, contract, buckets) as connection:
        if contract.flat:
            return connection.sql(customer_sql(contract)).to_arrow_table()
        _see_context(connection, context)
        return _asked(connection, customer_sql(contract), when)


def _see_context(connection: duckdb.DuckDBPyConnection, context: Path) -> None:
    for name in CONTEXT_TABLES:
        _see(connection, name, [context / f"{name}.parquet"])


def _departures(
    extract: Path, contract: Contract, when: Moment, buckets: Sequence[int]
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The keys of those who had left before the date, and of those who left within the horizon after it."""
    with _sources(extract, contract, buckets) as connection:
        departures = _asked(connection, departures_sql(contract.horizon_days), when)
    had_left = departures["had_left"]
    return departures.filter(had_left)["customer_id"], departures.filter(pc.invert(had_left))["customer_id"]


def _require_covered(extract: Path, contract: Contract, as_of: date) -> None:
    first, last = _covered_months(extract, contract)
    if as_of < month_after(first):
        raise RequestError(
            f"{as_of} is too early: usage is there from {first:%Y-%m} to {last:%Y-%m}",
            where="as_of",
            to_do=f"Ask for {month_after(first)} to {month_after(last)}.",
        )


def _covered_months(extract: Path, contract: Contract) -> tuple[date, date]:
    if contract.flat:
        raise RequestError(
            "a single snapshot has no months to choose from", where=contract.name, to_do="Say which date it describes."
        )
    with _sources(extract, contract, range(bucket_count(extract, contract))) as connection:
        [(first, last)] = connection.sql(covered_months_sql()).fetchall()
    if first is None:
        raise SourceEmpty("no month has usage", where="usage_monthly", to_do="Look at the source.")
    return first, last


@contextmanager
def _sources(extract: Path, contract: Contract, buckets: Sequence[int]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB, on one thread so that sums come out the same each time, that sees these buckets of the sources."""
    with duck() as connection:
        for table in contract.sources:
            _see(connection, table.name, [extract / table.name / bucket_file(bucket) for bucket in buckets])
        yield connection


def _see(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> None:
    """Lets the connection see the files as a table; a folder called x=1 above them is no column."""
    connection.read_parquet([str(file) for file in files], hive_partitioning=False).create_view(name)


def _asked(connection: duckdb.DuckDBPyConnection, sql: str, when: Moment) -> pa.Table:
    return connection.sql(sql, params=when.parameters).to_arrow_table()
