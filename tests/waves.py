"""Publishes small lists with their scores, in which the customers of these numbers have these statuses."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from churn.contract import arrow_schema
from schemas.columns import LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES
from schemas.scores import SCORES
from store.claims import Claim, Content, Unit
from store.lake import write_parquet
from store.policies import read_policy
from store.publication import Publisher
from store.settings import Settings
from store.tables import TABLES_OF, engine_for


def publish_wave(publisher: Publisher, as_of: date, **customers: list[int]) -> None:
    """The scores of a hundred customers, and a list on which these numbers have these statuses."""
    _publish(publisher, "scores", as_of, {SCORES.name: _rows(SCORES, as_of, list(range(100)))})
    status = {number: name for name, numbers in customers.items() for number in numbers}
    statuses = _rows(STATUSES, as_of, list(range(100)))
    given = pa.array([status.get(number, "beyond_capacity") for number in range(100)]).dictionary_encode()
    statuses = statuses.set_column(STATUSES.names.index("status"), "status", given)
    _publish(publisher, "outreach", as_of, {STATUSES.name: statuses, OUTREACH.name: _rows(OUTREACH, as_of, [1])})


def _publish(publisher: Publisher, kind: str, as_of: date, tables: dict[str, pa.Table]) -> None:
    claim = publisher.claim(Unit("telco", kind, as_of, datetime.combine(as_of, time())), Content(str(as_of), "e"))
    assert isinstance(claim, Claim)
    folder = publisher.stage(claim)
    for table in TABLES_OF[kind]:
        if table.name in tables:
            write_parquet(tables[table.name], folder / table.name / "bucket=00.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


def _rows(schema: Table, as_of: date, numbers: list[int]) -> pa.Table:
    ordinary = {LogicalType.STRING: "word", LogicalType.NUMBER: 0.5, LogicalType.INTEGER: 1, LogicalType.DATE: as_of}
    columns = {column.name: [ordinary[column.logical_type]] * len(numbers) for column in schema.columns}
    names = [f"C{number:02d}" for number in numbers]
    own = {
        "customer_id": names,
        "unit": [f"customer {name}" for name in names],
        "action": ["service_call"] * len(numbers),
    }
    policy = {"policy_digest": [read_policy("telco").digest] * len(numbers), "customer_value": [100.0] * len(numbers)}
    known = {name: values for name, values in (own | policy).items() if name in schema.names}
    return pa.table(columns | known, schema=arrow_schema(schema))


def asked(settings: Settings, query: str) -> list[dict[str, Any]]:
    """The rows that the database answers."""
    engine = engine_for(settings.database_url)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]
