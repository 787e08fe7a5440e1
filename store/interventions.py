"""Keeps what teams write back of their contacts, once each, and tells what was known of them at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from churn.contract import arrow_schema
from schemas.columns import Table
from schemas.interventions import CONTACT_EVENTS, CONTACTS, INTERVENTIONS, Event, Intervention
from store.claims import database_now
from store.intervention_tables import intervention
from store.list_names import strange_names
from store.migrations import migrated_engine
from store.settings import Settings
from store.tables import answering, beside

ROWS_AT_ONCE = 1_000  # that a statement names: PostgreSQL runs out of stack at ten thousand
CLOCKS_DIFFER = timedelta(minutes=5)

_SENT = tuple(Intervention.model_fields)
_WHOSE = ("customer_id", "agent")  # what is told of an event is for who knows these: keys can be guessed

Row = dict[str, Any]
Name = tuple[str, str]  # of an event: its contract and its key
Part = TypeVar("Part")


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

    Refused, while the others are kept, is a key that is known with other content, a time that cannot be, and a name
    that the list of that date does not know.
    """
    engine = migrated_engine(settings)
    with answering(engine), beside(engine) as connection:  # no list changes its place meanwhile
        now = database_now(connection)
        strange = strange_names(connection, interventions, settings)
        whys = [_impossible(one, now, settings) or why for one, why in zip(interventions, strange, strict=True)]
        refused = [Refusal(one.key, why) for one, why in zip(interventions, whys, strict=True) if why]
        possible = [_row(one) for one, why in zip(interventions, whys, strict=True) if not why]
        kept, new = _kept(connection, _firsts(possible), now)
    refused += [Refusal(row["key"], _differs(row, kept)) for row in possible if row != kept[_name(row)]]
    return Recorded(new, len(interventions) - new - len(refused), tuple(refused))


def history(settings: Settings, contract: str, *, before: date, known_at: datetime) -> pa.Table:
    """CONTACTS: who was contacted, accepted and refused last when, by channel, before that date.

    It is told as far as it was recorded by known_at. `known_at` and the dates are of the business zone. The rows are in
    order of customer and channel.
    """
    of_base = (
        intervention.c.contract == contract,
        intervention.c.recorded_at <= _utc(known_at, settings),
        intervention.c.occurred_at < _utc(datetime.combine(before, time.min), settings),
    )
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        rows = connection.execute(_contacts(*of_base)).all()
    customers, channels, *moments = _columns(rows, CONTACTS)
    return _table((customers, channels, *(_days(each, settings) for each in moments)), CONTACTS)


def wave_events(settings: Settings, contract: str, as_of: date, *, known_at: datetime | None = None) -> pa.Table:
    """INTERVENTIONS of the list of that date, in order of time, as far as they were written down by known_at.

    `known_at` is of the business zone; None stands for now. The times of the rows are in UTC.
    """
    return _events(settings, intervention.c.contract == contract, intervention.c.as_of == as_of, known_at=known_at)


def events_since(settings: Settings, contract: str, as_of: date, *, known_at: datetime) -> pa.Table:
    """INTERVENTIONS of all lists from that date on, in order of time, as `wave_events` gives those of one."""
    return _events(settings, intervention.c.contract == contract, intervention.c.as_of >= as_of, known_at=known_at)


def _events(settings: Settings, *which: sa.ColumnElement[bool], known_at: datetime | None) -> pa.Table:
    events = sa.select(intervention).where(*which).order_by(intervention.c.occurred_at, intervention.c.key)
    if known_at is not None:
        events = events.where(intervention.c.recorded_at <= _utc(known_at, settings))
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        rows = connection.execute(events).all()
    return _table(_columns(rows, INTERVENTIONS), INTERVENTIONS)


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


def _name(row: Mapping[str, Any]) -> Name:
    return row["contract"], row["key"]


def _firsts(rows: Sequence[Row]) -> dict[Name, Row]:
    """Each key's first row, by key: two batches that lock the same keys in the same order cannot block each other."""
    firsts = {_name(row): row for row in reversed(rows)}
    return {name: firsts[name] for name in sorted(firsts)}


def _kept(connection: Connection, rows: dict[Name, Row], now: datetime) -> tuple[dict[Name, Row], int]:
    """What is written down under the rows' keys once they are added, and how many of them were new."""
    new = _added(connection, list(rows.values()), now)
    return rows | _written_down(connection, [name for name in rows if name not in new]), len(new)


def _added(connection: Connection, rows: Sequence[Row], now: datetime) -> set[Name]:
    """Adds the rows whose keys are not there yet, even if another batch is adding them now, and names those."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(intervention).on_conflict_do_nothing()
    stamped = [row | {"recorded_at": now} for row in rows]
    added = insert.returning(intervention.c.contract, intervention.c.key)
    return {(row.contract, row.key) for part in _parts(stamped) for row in connection.execute(added, part)}


def _written_down(connection: Connection, names: Sequence[Name]) -> dict[Name, Row]:
    columns = [intervention.c[name] for name in _SENT]
    place = sa.tuple_(intervention.c.contract, intervention.c.key)
    found = [
        dict(row)
        for part in _parts(names)
        for row in connection.execute(sa.select(*columns).where(place.in_(part))).mappings()
    ]
    return {_name(row): row for row in found}


def _parts(rows: Sequence[Part]) -> Iterator[Sequence[Part]]:
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))


def _differs(row: Row, kept: Mapping[Name, Row]) -> str:
    known = kept[_name(row)]
    if any(known[name] != row[name] for name in _WHOSE):
        return "the key names another event already: give this one a key of its own"
    other = [f"{name} {known[name]}, not {row[name]}" for name in _SENT if known[name] != row[name]]
    return f"the key is written down already with {'; '.join(other)}: give another event another key"


def _contacts(*of_base: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Each customer's last contact by channel, and the last of each answer: a later one does not undo another.

    Each row is read once: a join of the last contacts with the last answers has no index, and takes hours in SQLite.
    """
    event, occurred_at, customer, channel = (
        intervention.c[name] for name in ("event", "occurred_at", "customer_id", "channel")
    )
    last = (
        sa.func.max(occurred_at if answer is None else sa.case((event == answer.value, occurred_at)))
        for answer in (None, Event.ACCEPTED, Event.REFUSED)
    )
    contacts = sa.select(customer, channel, *last).where(*of_base, event.in_([each.value for each in CONTACT_EVENTS]))
    return contacts.group_by(customer, channel).order_by(customer, channel)


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
