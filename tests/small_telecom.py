"""A telecom of a few customers, written down as text tables: `?` is unknown, what is not said is ordinary."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.buckets import bucket_of
from churn.contract import arrow_schema
from churn.snapshot import Moment
from schemas.columns import Table
from schemas.contract import Contract
from store.contracts import read_contract
from store.lake import bucket_file
from store.snapshots import build_bucket, build_context

BUCKETS = 2
LONG_AGO = "2020-01-01"
ORDINARY = {
    "joined_on": "2024-01-01",
    "segment": "postpaid",
    "region": "R01",
    "marketing_consent": "true",
    "do_not_contact": "false",
    "plan_code": "P1",
    "starts_on": LONG_AGO,
    "effective_on": LONG_AGO,
    "monthly_price": "30",
    "amount": "30",
    "is_complaint": "false",
    "recorded_at": LONG_AGO,
}
# Somebody who is no customer any more, but whose usage says which months the source covers.
BYSTANDER = """
customer_id  month
nobody       2024-01-01
nobody       2025-12-01
"""


@cache
def telco() -> Contract:
    """The contract of the simulated telecom."""
    return read_contract("telco")


def rows_of(text: str) -> list[dict[str, str | None]]:
    """The rows of a text table: the first line names the columns."""
    head, *lines = (line.split() for line in text.strip().splitlines())
    return [dict(zip(head, (None if word == "?" else word for word in line), strict=True)) for line in lines]


def write_extract(folder: Path, **tables: str) -> Path:
    """An extract of the telecom in which these tables say this, and the others nothing."""
    for table in telco().sources:
        rows = rows_of(tables.get(table.name, "customer_id"))
        if table.name == "usage_monthly":
            rows += rows_of(BYSTANDER)
        _write_buckets(_filled(rows, table), folder / table.name)
    return folder


def customers_as_of(extract: Path, as_of: str, known_at: str | None = None) -> dict[str, dict[str, Any]]:
    """Every customer of the snapshot by key, whichever bucket holds it."""
    contract, when = telco(), moment(as_of, known_at)
    snapshot = extract / f"snapshot-{when.as_of}-{when.known_at:%Y%m%dT%H%M%S}"
    build_context(extract, contract, when, snapshot)
    for bucket in range(BUCKETS):
        build_bucket(extract, contract, when, bucket, snapshot)
    rows = [
        row for file in sorted(snapshot.glob("bucket=*.parquet")) for row in pq.ParquetFile(file).read().to_pylist()
    ]
    return {row["customer_id"]: row for row in rows}


def moment(as_of: str, known_at: str | None = None) -> Moment:
    """A date and what was known of it, by default when it began."""
    day = date.fromisoformat(as_of)
    return Moment(day, datetime.fromisoformat(known_at)) if known_at else Moment.at(day)


def in_words(value: Any) -> str:
    """A value as the text tables write it."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def _filled(rows: list[dict[str, str | None]], table: Table) -> pa.Table:
    return pa.table(
        [
            pa.array([row.get(field.name, ORDINARY.get(field.name)) for row in rows], pa.string()).cast(field.type)
            for field in arrow_schema(table)
        ],
        schema=arrow_schema(table),
    )


def _write_buckets(table: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True)
    place = bucket_of(table["customer_id"], BUCKETS)
    for bucket in range(BUCKETS):
        pq.write_table(table.filter(pa.array(place == bucket)), folder / bucket_file(bucket))
