"""Keeps what teams write back of their contacts, once each, and tells what was known of them at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from churn.contract import arrow_schema
from schemas.columns import Table
from schemas.interventions import CONTACT_EVENTS, CONTACTS, INTERVENTIONS, OUTCOMES, Event, Intervention
from store.claims import database_now
from store.intervention_tables import intervention
from store.migrations import bring_up_to_date
from store.settings import Settings
from store.tables import answering, engine_for

ROWS_AT_ONCE = 1_000  # eleven values each, of the 32,766 that a statement of SQLite may have
CLOCKS_DIFFER = timedelta(minutes=5)

_SENT = tuple(Intervention.model_fields)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write-back that was not kept, by its key, and why not."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of a batch: how many events were new, how many were known already, and which were refused."""

    new: int
    known: int
    refused: tuple[Refusal, ...] = ()


def record(settings: Settings, interventions: Sequence[Intervention]) -> Recorded:
    """Keeps the events in one transaction: each key once, however often, late or at the same time it is sent.

    Refused, while the others are kept, is a key that is known with other content, and a time that cannot be.
    """
    engine = _opened(settings)
    with answering(engine), engine.begin() as connection:
        now = database_now(connection)
        refused = [Refusal(one.key, why) for one in interventions if (why := _impossible(one, now, settings))]
        impossible = {refusal.key for refusal in refused}
        possible = [_row(one) for one in interventions if one.key not in impossible]
        firsts = _firsts(possible)
        new = _added(connection, firsts, now)
        kept = _kept(connection, firsts)
    refused += [Refusal(row["key"], _differs(row, kept)) for row in possible if row != kept[_name(row)]]
    return Recorded(new, len(interventions) - new - len(refused), tuple(refused))


def history(settings: Settings, contract: str, *, known_at: datetime) -> pa.Table:
    """CONTACTS: who was contacted last when, by channel, and what he said, as far as it was written down by known_at.

    `known_at` and the dates are of the business zone. The rows are in order of customer and channel.
    """
    of_base = (intervention.c.contract == contract, intervention.c.recorded_at <= _utc(known_at, settings))
    engine = _opened(settings)
    with answering(engine), engine.connect() as connection:
        rows = connection.execute(_contacts(*of_base)).all()
    customers, channels, contacted, outcomes, answered = _columns(rows, CONTACTS)
    return _table((customers, channels, _days(contacted, settings), outcomes, _days(answered, settings)), CONTACTS)


def wave_events(settings: Settings, contract: str, as_of: date, *, known_at: datetime | None = None) -> pa.Table:
    """INTERVENTIONS of the list of that date, in order of time, as far as they were written down by known_at.

    `known_at` is of the business zone; None stands for now. The times of the rows are in UTC.
    """
    events = sa.select(intervention).where(intervention.c.contract == contract, intervention.c.as_of == as_of)
    if known_at is not None:
        events = events.where(intervention.c.recorded_at <= _utc(known_at, settings))
    engine = _opened(settings)
    with answering(engine), engine.connect() as connection:
        rows = connection.execute(events.order_by(intervention.c.occurred_at, intervention.c.key)).all()
    return _table(_columns(rows, INTERVENTIONS), INTERVENTIONS)


def _opened(settings: Settings) -> Engine:
    engine = engine_for(settings.database_url)
    with answering(engine):
        bring_up_to_date(engine)
    return engine


def _impossible(one: Intervention, now: datetime, settings: Settings) -> str:
    """Why the time of an event cannot be right; empty where it can."""
    if _naive(one.occurred_at) > now + CLOCKS_DIFFER:
        return f"occurred_at {one.occurred_at.isoformat()} has not come yet: correct the clock or the zone"
    day = one.occurred_at.astimezone(settings.zone).date()
    if day < one.as_of:
        return f"it happened on {day}, before the list of {one.as_of} was there: correct as_of or occurred_at"
    return ""


def _row(one: Intervention) -> Row:
    return one.model_dump() | {"event": one.event.value, "occurred_at": _naive(one.occurred_at)}


def _name(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["contract"], row["key"]


def _firsts(rows: Sequence[Row]) -> list[Row]:
    """Each key's first row, by key: two batches that lock the same keys in the same order cannot block each other."""
    firsts = {_name(row): row for row in reversed(rows)}
    return [firsts[name] for name in sorted(firsts)]


def _added(connection: Connection, rows: Sequence[Row], now: datetime) -> int:
    """Adds the rows whose keys are not there yet, even if another batch is adding them now, and counts those."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(intervention).on_conflict_do_nothing().returning(intervention.c.key)
    stamped = [row | {"recorded_at": now} for row in rows]
    return sum(len(connection.execute(insert.values(part)).all()) for part in _parts(stamped))


def _kept(connection: Connection, rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """What is written down under the rows' keys."""
    found: dict[tuple[str, str], Row] = {}
    names = sa.tuple_(intervention.c.contract, intervention.c.key)
    for part in _parts(rows):
        kept = sa.select(*(intervention.c[name] for name in _SENT)).where(names.in_([_name(row) for row in part]))
        found.update((_name(row), row) for row in map(dict, connection.execute(kept).mappings()))
    return found


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))


def _differs(row: Row, kept: Mapping[tuple[str, str], Row]) -> str:
    known = kept[_name(row)]
    other = [f"{name} {known[name]}, not {row[name]}" for name in _SENT if known[name] != row[name]]
    return f"the key is written down already with {'; '.join(other)}: give another event another key"


def _contacts(*of_base: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Each customer's last contact by channel, beside his last answer there."""
    contacts = _newest(CONTACT_EVENTS, *of_base)
    answers = _newest(OUTCOMES, *of_base)
    same = (answers.c.customer_id == contacts.c.customer_id) & (answers.c.channel == contacts.c.channel)
    columns = (
        contacts.c.customer_id,
        contacts.c.channel,
        contacts.c.occurred_at.label("last_contact"),
        answers.c.event.label("outcome"),
        answers.c.occurred_at.label("outcome_at"),
    )
    return (
        sa.select(*columns)
        .select_from(contacts.outerjoin(answers, same))
        .order_by(contacts.c.customer_id, contacts.c.channel)
    )


def _newest(events: Sequence[Event], *of_base: sa.ColumnElement[bool]) -> sa.Subquery:
    """The newest of these events by customer and channel; of two at the same moment the larger key counts."""
    column = intervention.c
    newest = sa.func.row_number().over(
        partition_by=(column.customer_id, column.channel), order_by=(column.occurred_at.desc(), column.key.desc())
    )
    wanted = (*of_base, column.event.in_([event.value for event in events]))
    ranked = sa.select(intervention, newest.label("place")).where(*wanted).subquery()
    return sa.select(ranked).where(ranked.c.place == 1).subquery()


def _table(columns: Sequence[Any], schema: Table) -> pa.Table:
    fields = arrow_schema(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return pa.table(arrays, schema=fields)


def _columns(rows: Sequence[sa.Row[Any]], schema: Table) -> list[Any]:
    return list(zip(*rows, strict=True)) or [()] * len(schema.columns)


def _days(moments: Sequence[datetime | None], settings: Settings) -> pa.Array:
    """The dates on which the moments, which are in UTC, fall in the business zone."""
    in_zone = pa.array(moments, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", settings.zone.key))
    return pc.local_timestamp(in_zone).cast(pa.date32(), safe=False)


def _utc(moment: datetime, settings: Settings) -> datetime:
    """A moment of the business zone in UTC, without saying so, as the database keeps it."""
    return _naive(moment if moment.tzinfo else moment.replace(tzinfo=settings.zone))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
