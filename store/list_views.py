"""The views that BI reads what came of the outreach lists through: what teams wrote back, and what waves saved."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.interventions import Event
from store.intervention_tables import intervention, lift, uplift
from store.views import View

_TOLD = {
    Event.ASSIGNED: "Customers whom an agent had on his list",
    Event.ATTEMPTED: "Customers whom somebody tried to contact, and nobody answered",
    Event.REACHED: "Customers who answered",
    Event.OFFERED: "Customers who heard the offer",
    Event.ACCEPTED: "Customers who accepted it",
    Event.REFUSED: "Customers who refused it",
}


def list_views() -> tuple[View, ...]:
    """All of them, in order of their names."""
    return (
        View("lift_current", _newest(lift), "What waves saved, as it was measured last"),
        View(
            "outreach_outcomes",
            _outcomes(),
            "How many customers of each wave and action teams wrote which event back of; each counts once an event",
            {event.value: said for event, said in _TOLD.items()}
            | {"newest_at": "When the newest of these events was written down, by the database's clock, UTC"},
        ),
        View("uplift_current", _newest(uplift), "What waves taught of each action, as it was learnt last"),
    )


def _newest(table: sa.Table) -> sa.Select[tuple[object, ...]]:
    """The rows of each base that were measured last."""
    measured = table.alias("measured")
    newest = sa.select(sa.func.max(measured.c.known_at)).where(measured.c.contract == table.c.contract)
    return sa.select(table).where(table.c.known_at == newest.correlate(table).scalar_subquery())


def _outcomes() -> sa.Select[tuple[object, ...]]:
    wave = (intervention.c.contract, intervention.c.as_of, intervention.c.action)
    newest = sa.func.max(intervention.c.recorded_at).label("newest_at")
    return sa.select(*wave, *map(_customers, Event), newest).group_by(*wave)


def _customers(event: Event) -> sa.Label[int]:
    theirs = sa.case((intervention.c.event == event.value, intervention.c.customer_id))
    return sa.func.count(sa.distinct(theirs)).label(event.value)
