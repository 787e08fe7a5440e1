"""Decides which published runs a retention policy keeps no longer, and says of each why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydantic import ValidationError

from churn.fields import wrong_fields
from schemas.retention import Retention


@dataclass(frozen=True, slots=True)
class Held:
    """A published run that is still there; `kind` is scores or outreach, `published_at` in UTC.

    `shown`: readers of its night see it. `current`: those of the newest night do. `sent`: it is a
    list that was sent, or one of the runs that such a list was decided by.
    """

    run_id: str
    base: str
    kind: str
    as_of: date
    published_at: datetime
    shown: bool = True
    current: bool = False
    sent: bool = False


def parse_retention(fields: object, where: str) -> Retention:
    """The policy that the fields of a YAML file describe; PolicyError lists every field that is wrong."""
    try:
        return Retention.model_validate(fields)
    except ValidationError as error:
        raise wrong_fields(error, where, shape="schemas/retention.py") from None


def runs_to_go(held: Sequence[Held], retention: Retention, now: datetime) -> dict[str, str]:
    """The names of the runs that go, in the order of `held`, each with the reason; `now` is in UTC."""
    kept = _nights_kept(held, retention)
    since = _superseded_at(held)
    young = now - timedelta(hours=retention.grace_hours)
    old = now - timedelta(days=retention.superseded_days)
    going = {}
    for run in held:
        if run.current or run.sent or max(run.published_at, since.get(run.run_id, run.published_at)) > young:
            continue
        if run.as_of not in kept[run.base, run.kind]:
            going[run.run_id] = f"{run.as_of} is none of the nights that are kept"
        elif run.run_id in since and since[run.run_id] <= old:
            going[run.run_id] = f"a later revision took its place on {since[run.run_id]:%Y-%m-%d}"
    return going


def nights_to_keep(nights: Iterable[date], *, newest: int, month_ends: int) -> frozenset[date]:
    """The newest of the nights, and of so many of the newest months the last night that there is."""
    in_order = sorted(set(nights), reverse=True)
    last_of: dict[tuple[int, int], date] = {}
    for night in in_order:
        last_of.setdefault((night.year, night.month), night)
    return frozenset([*in_order[:newest], *list(last_of.values())[:month_ends]])


def _nights_kept(held: Iterable[Held], retention: Retention) -> dict[tuple[str, str], frozenset[date]]:
    nights = defaultdict(set)
    for run in held:
        nights[run.base, run.kind].add(run.as_of)
    newest = {"scores": retention.nights, "outreach": retention.list_nights}
    return {
        (base, kind): nights_to_keep(there, newest=newest[kind], month_ends=retention.month_ends)
        for (base, kind), there in nights.items()
    }


def _superseded_at(held: Iterable[Held]) -> dict[str, datetime]:
    """When another run took the place of each that readers of its night no longer see."""
    last: dict[tuple[str, str, date], datetime] = {}
    since = {}
    for run in sorted(held, key=lambda run: run.published_at, reverse=True):
        night = (run.base, run.kind, run.as_of)
        if not run.shown and night in last:
            since[run.run_id] = last[night]
        last[night] = run.published_at
    return since
