"""Publishes small lists with their scores, for the tests of what the service says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from functools import cache

import pyarrow as pa

from churn.contract import arrow_schema
from schemas.columns import LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES
from schemas.scores import SCORES
from store.claims import Claim, Content, Unit
from store.lake import write_parquet
from store.policies import PolicyInForce, read_policy
from store.publication import open_publisher
from store.settings import Settings
from tests.api.service import TINY

NIGHT = date(2026, 1, 1)
SEGMENTS = ("prepaid", "postpaid")
REGIONS = ("R01", "R02", "R03")
ORDINARY = {LogicalType.STRING: "word", LogicalType.NUMBER: 0.5, LogicalType.INTEGER: 1}
NORTH, SOUTH = "north", "south"


def customer(number: int) -> str:
    """Even numbers are prepaid, odd ones postpaid; regions go round by three, and teams by two."""
    return f"C{number:03d}"


def publish_list(settings: Settings, listed: Sequence[int], as_of: date = NIGHT, held_out: Sequence[int] = ()) -> None:
    """Publishes scores of all these customers and a list of those who are listed, in this order of rank."""
    everybody = sorted((*listed, *held_out))
    _publish(settings, "scores", as_of, {SCORES: _rows(SCORES, everybody, as_of)})
    status = {number: "listed" if number in listed else "held_out" for number in everybody}
    statuses = _with(_rows(STATUSES, everybody, as_of), STATUSES, "status", [status[number] for number in everybody])
    ranked = _with(_rows(OUTREACH, listed, as_of), OUTREACH, "rank", list(range(1, len(listed) + 1)))
    _publish(settings, "outreach", as_of, {OUTREACH: ranked, STATUSES: statuses})


def publish_status(settings: Settings, customer_id: str, status: str, as_of: date = NIGHT) -> None:
    """Publishes a list on which nobody is, and that says this of a customer."""
    alone = _with(_rows(STATUSES, [0], as_of), STATUSES, "customer_id", [customer_id])
    statuses = _with(alone, STATUSES, "status", [status])
    _publish(settings, "outreach", as_of, {OUTREACH: _rows(OUTREACH, [], as_of), STATUSES: statuses})


DECIDED = [
    # what the night's list says  an action is recommended by day
    ("listed", True),
    ("beyond_capacity", True),
    ("held_out", False),
    ("cooling_down", False),
    ("household_limit", False),
]


def _publish(settings: Settings, kind: str, as_of: date, tables: dict[Table, pa.Table]) -> None:
    publisher = open_publisher(settings)
    unit = Unit(TINY.name, kind, as_of, datetime.combine(as_of, time()))
    claim = publisher.claim(unit, Content(f"{kind} {as_of}", "extract"), force=True)
    assert isinstance(claim, Claim)
    for table, rows in tables.items():
        write_parquet(rows, publisher.stage(claim) / table.name / "bucket=00.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


def _rows(schema: Table, numbers: Sequence[int], as_of: date) -> pa.Table:
    kinds = ORDINARY | {LogicalType.DATE: as_of}
    columns = {column.name: [kinds[column.logical_type]] * len(numbers) for column in schema.columns}
    own = {
        "customer_id": [customer(number) for number in numbers],
        "segment": [SEGMENTS[number % 2] for number in numbers],
        "region": [REGIONS[number % 3] for number in numbers],
        "team": [(NORTH, SOUTH)[number % 2] for number in numbers],
        "policy_digest": [_policy().digest] * len(numbers),
    }
    known = {name: values for name, values in own.items() if name in schema.names}
    return pa.table(columns | known, schema=arrow_schema(schema))


@cache
def _policy() -> PolicyInForce:
    return read_policy("telco")


def _with(rows: pa.Table, schema: Table, name: str, values: Sequence[object]) -> pa.Table:
    kind = rows.schema.field(name).type
    return rows.set_column(schema.names.index(name), name, pa.array(values).cast(kind))
