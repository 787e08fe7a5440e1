"""A small contract with every kind of rule, and snapshots written by hand for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from churn.contract import arrow_schema
from schemas.columns import Column, LogicalType, Role, Table, WhenInvalid
from schemas.contract import Contract

CUSTOMERS = Table(
    name="customers",
    description="Customers of a small telecom",
    columns=(
        Column("customer_id", LogicalType.STRING, "Key", roles=(Role.KEY,), required=True, unique=True),
        Column(
            "plan",
            LogicalType.STRING,
            "Plan code",
            roles=(Role.FEATURE, Role.SEGMENT),
            required=True,
            allowed=("S", "M", "it's L"),
            when_invalid=WhenInvalid.UNKNOWN,
        ),
        Column("region", LogicalType.STRING, "Region", roles=(Role.FEATURE,), allowed=("north", "south")),
        Column(
            "minutes",
            LogicalType.NUMBER,
            "Voice minutes a month",
            roles=(Role.FEATURE,),
            required=True,
            minimum=0,
            maximum=44_640,
            unit="minutes",
        ),
        Column("trend", LogicalType.NUMBER, "Trend of the minutes", roles=(Role.FEATURE,)),
        Column("tickets", LogicalType.INTEGER, "Open tickets", roles=(Role.FEATURE,), minimum=0),
        Column("lines", LogicalType.INTEGER, "Lines", allowed=("1", "2", "3")),
    ),
    primary_key=("customer_id",),
)
CONTRACT = Contract(
    name="small",
    version="1.0.0",
    digest="d" * 64,
    description="A small telecom",
    sources=(CUSTOMERS,),
    customer=CUSTOMERS,
    flat=True,
)
WITH_SURROGATE_KEY = replace(CONTRACT, surrogate_key=True)

GOOD = {
    "customer_id": "C0",
    "plan": "S",
    "region": "north",
    "minutes": 100.0,
    "trend": 0.1,
    "tickets": 0,
    "lines": 1,
}


def customers(count: int, **changes: object) -> list[dict[str, object]]:
    """That many good customers, each with the changes."""
    return [GOOD | {"customer_id": f"C{number:04d}"} | changes for number in range(count)]


def write_bucket(folder: Path, rows: Sequence[Mapping[str, object]], bucket: int = 0) -> str:
    """Writes the rows as one bucket of a snapshot and gives the file."""
    path = folder / f"bucket={bucket:02d}.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=arrow_schema(CUSTOMERS)), path)
    return str(path)
