"""Publishes small runs of made-up rows, in files as the night writes them."""

from __future__ import annotations

from datetime import date, datetime, time

import numpy as np
import pyarrow as pa

from churn.buckets import bucket_of
from churn.contract import arrow_schema
from schemas.columns import LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store import lake
from store.claims import Claim, Content, Unit
from store.publication import Published, Publisher, content_key
from store.rebuilding import CODED

BUCKETS = 3


def publish(
    publisher: Publisher,
    as_of: date,
    *,
    kind: str = "scores",
    key: str = "k",
    customers: int = 40,
    extract: str = "e",
    known_at: datetime | None = None,
) -> Published:
    """A published run of that night; `key` says which content, and `extract` what it came from."""
    unit = Unit("telco", kind, as_of, known_at or datetime.combine(as_of, time()))
    claim = publisher.claim(unit, Content(content_key(key), extract))
    assert isinstance(claim, Claim)
    write(publisher, claim, customers)
    publisher.seal(claim)
    publisher.load(claim)
    return publisher.publish(claim)


def write(publisher: Publisher, claim: Claim, customers: int = 40) -> None:
    """The files of a run of either kind."""
    folder, as_of = publisher.stage(claim), claim.unit.as_of
    if claim.unit.kind == "scores":
        _write_buckets(publisher, _rows(SCORES, customers, as_of), folder / SCORES.name)
        lake.write_parquet(_rows(QUARANTINE, 3, as_of), folder / QUARANTINE.name / "rows.parquet")
    else:
        lake.write_parquet(_rows(OUTREACH, 5, as_of), folder / OUTREACH.name / "list.parquet")
        _write_buckets(publisher, _rows(STATUSES, customers, as_of), folder / STATUSES.name)
        lake.write_parquet(_rows(TEAMS, 2, as_of), folder / TEAMS.name / "teams.parquet")


def _write_buckets(publisher: Publisher, rows: pa.Table, folder: object) -> None:
    place = bucket_of(rows["customer_id"], BUCKETS)
    for bucket in range(BUCKETS):
        lake.write_parquet(rows.filter(pa.array(place == bucket)), folder / lake.bucket_file(bucket))  # type: ignore[operator]


def _rows(schema: Table, count: int, as_of: date) -> pa.Table:
    """Rows in order of their key, as a night has them: some texts coded, some values missing."""
    missing = np.arange(count) % 7 == 6
    values = {
        LogicalType.STRING: lambda: pa.array([f"é {n % 5}" for n in range(count)]),
        LogicalType.INTEGER: lambda: pa.array(range(1, count + 1), pa.int64()),
        LogicalType.NUMBER: lambda: pa.array(np.arange(count) / 7),
        LogicalType.DATE: lambda: pa.array([as_of] * count, pa.date32()),
    }
    columns = {column.name: values[column.logical_type]() for column in schema.columns}
    if "customer_id" in columns:
        columns["customer_id"] = pa.array([f"C{n:05d}" for n in range(count)])
    for column in schema.columns:
        if not column.required:
            columns[column.name] = pa.array(columns[column.name].to_pylist(), columns[column.name].type, mask=missing)
        if column.name in CODED.get(schema.name, ()):
            columns[column.name] = columns[column.name].dictionary_encode()
    assert list(columns) == arrow_schema(schema).names
    return pa.table(columns)
