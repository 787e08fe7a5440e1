"""Reads a published list page by page, in an order that stays, for those who may see its customers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from schemas.interventions import Intervention
from schemas.outreach import Status
from schemas.scores import REASONS_UP
from store.claims import Unit
from store.intervention_tables import handover
from store.tables import FENCE, LISTED, night_pointer, outreach, publication, scores, statuses

NIGHTS_NAMED = 3  # where a night had no list

Place = int | str  # of a row in its list: its rank, or its customer where it has none


@dataclass(frozen=True, slots=True)
class ShownList:
    """The list that readers of a night see; `handed_over_at` is None while another may take its place."""

    unit: Unit
    run_id: str
    fence: int
    revision: int
    handed_over_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which customers of a list: of a status, of one team or all, of the segments and regions that may be seen.

    No segments, or no regions, stands for all.
    """

    status: str = Status.LISTED.value
    team: str | None = None
    segments: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


def shown_list(connection: Connection, contract: str, as_of: date | None = None) -> ShownList | None:
    """The list of that date, or the newest; None where none was published."""
    shown, run = night_pointer.c, publication.c
    joined = night_pointer.join(publication, run.run_id == shown.run_id)
    facts = (shown.as_of, run.known_at, shown.run_id, shown[FENCE], run.revision)
    query = sa.select(*facts).select_from(joined).where(shown.contract == contract, shown.kind == LISTED)
    if as_of is not None:
        query = query.where(shown.as_of == as_of)
    row = connection.execute(query.order_by(shown.as_of.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    unit = Unit(contract, LISTED, row.as_of, row.known_at)
    return ShownList(unit, row.run_id, row.fence, row.revision, _handed_over_at(connection, unit, row.run_id))


def customers_on(connection: Connection, shown: ShownList) -> int:
    """How many customers are listed."""
    listed = sa.select(sa.func.count()).select_from(outreach).where(outreach.c[FENCE] == shown.fence)
    return connection.execute(listed).scalar_one()


def page(
    connection: Connection, shown: ShownList, wanted: Wanted, *, after: Place | None, rows: int
) -> list[RowMapping]:
    """The next rows of the list, at most so many, behind the place where the page before it ended; see `place_of`.

    Who is listed comes by rank; those of another status have none, and come by key.
    """
    part = _part(shown, wanted, after, rows).subquery()
    # What else is told is looked up for the rows of the page alone, and not for all of a list or a base.
    whole = _with_rule(part, shown) if wanted.status == Status.LISTED else _with_score(part, shown)
    return list(connection.execute(whole.order_by(part.c[_order(wanted).name])).mappings())


def visible(connection: Connection, wave: tuple[str, date], wanted: Wanted, customers: Sequence[str]) -> frozenset[str]:
    """Which of these customers were scored on the wave's night and are of the segments and regions that are wanted."""
    fence = _fence_of_scores(*wave)
    of_night = sa.select(scores.c.customer_id).where(scores.c[FENCE] == fence, scores.c.customer_id.in_(customers))
    return frozenset(connection.scalars(of_night.where(*_may_see(wanted))))


def listed_nights(connection: Connection, contract: str, nights: Collection[date]) -> frozenset[date]:
    """Of which of these nights a list was ever published, be it shown still or not."""
    if not sa.inspect(connection).has_table(publication.name):
        return frozenset()
    run = publication.c
    of_night = (run.contract == contract, run.kind == LISTED, run.as_of.in_(nights), run.published_at.is_not(None))
    return frozenset(connection.scalars(sa.select(run.as_of).where(*of_night)))


def unlisted(connection: Connection, events: Sequence[Intervention]) -> list[str]:
    """For each event in a sentence that its night had no list, which is a slip in a date; empty where it had one."""
    whys = dict.fromkeys(((one.contract, one.as_of) for one in events), "")
    for contract in {contract for contract, _ in whys}:
        nights = {as_of for base, as_of in whys if base == contract}
        for as_of in nights - listed_nights(connection, contract, nights):
            whys[contract, as_of] = _no_list_of(as_of, _newest_lists(connection, contract))
    return [whys[one.contract, one.as_of] for one in events]


def place_of(row: RowMapping, wanted: Wanted) -> Place:
    """Where the row stands in its list."""
    place: Place = row[_order(wanted).name]
    return place


def can_be_after(place: Place, wanted: Wanted) -> bool:
    """Whether a list of this kind has such places at all."""
    return isinstance(place, int if wanted.status == Status.LISTED else str)


def _newest_lists(connection: Connection, contract: str) -> list[date]:
    if not sa.inspect(connection).has_table(publication.name):
        return []
    run = publication.c
    of_base = (run.contract == contract, run.kind == LISTED, run.published_at.is_not(None))
    nights = sa.select(run.as_of).where(*of_base).distinct().order_by(run.as_of.desc()).limit(NIGHTS_NAMED)
    return list(connection.scalars(nights))


def _no_list_of(as_of: date, others: Sequence[date]) -> str:
    known = f"the newest are of {', '.join(map(str, others))}" if others else "there is none yet"
    return f"no list of {as_of} was published, {known}: correct as_of"


def _table(wanted: Wanted) -> sa.Table:
    return outreach if wanted.status == Status.LISTED else statuses


def _order(wanted: Wanted) -> sa.Column[Any]:
    return outreach.c.rank if wanted.status == Status.LISTED else statuses.c.customer_id


def _part(shown: ShownList, wanted: Wanted, after: Place | None, rows: int) -> sa.Select[Any]:
    table, order = _table(wanted), _order(wanted)
    part = sa.select(*(column for column in table.c if column.name not in (FENCE, "as_of")))
    part = part.where(table.c[FENCE] == shown.fence).order_by(order).limit(rows)
    if table is statuses:
        part = part.where(statuses.c.status == wanted.status)
    if wanted.team is not None:
        part = part.where(table.c.team == wanted.team)
    if after is not None:
        part = part.where(order > after)
    if limits := _may_see(wanted):
        # No join: SQLite would go through all scores of the night for the few who are listed.
        part = part.where(sa.exists().where(_scored(table.c.customer_id, shown), *limits))
    return part


def _with_rule(part: sa.Subquery, shown: ShownList) -> sa.Select[Any]:
    same = (statuses.c[FENCE] == shown.fence) & (statuses.c.customer_id == part.c.customer_id)
    return sa.select(part, statuses.c.rule).select_from(part.outerjoin(statuses, same))


def _with_score(part: sa.Subquery, shown: ShownList) -> sa.Select[Any]:
    reasons = (f"reason_{place}_{field}" for place in range(1, REASONS_UP + 1) for field in ("feature", "value"))
    scored = (scores.c[name] for name in ("segment", "probability", *reasons, "model_digest"))
    return sa.select(part, *scored).select_from(part.outerjoin(scores, _scored(part.c.customer_id, shown)))


def _scored(customer: sa.ColumnElement[str], shown: ShownList) -> sa.ColumnElement[bool]:
    """The customer's score that readers of the list's night see."""
    fence = _fence_of_scores(shown.unit.contract, shown.unit.as_of)
    return (scores.c[FENCE] == fence) & (scores.c.customer_id == customer)


def _fence_of_scores(contract: str, as_of: date) -> sa.ScalarSelect[Any]:
    shown = night_pointer.c
    of_night = (shown.contract == contract, shown.kind == scores.name, shown.as_of == as_of)
    return sa.select(shown[FENCE]).where(*of_night).scalar_subquery()


def _may_see(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    limits = ((wanted.segments, scores.c.segment), (wanted.regions, scores.c.region))
    return [column.in_(names) for names, column in limits if names]


def _handed_over_at(connection: Connection, unit: Unit, run_id: str) -> datetime | None:
    if not sa.inspect(connection).has_table(handover.name):
        return None
    left = handover.c
    of_run = (left.contract == unit.contract, left.as_of == unit.as_of, left.run_id == run_id)
    return connection.scalar(sa.select(left.recorded_at).where(*of_run))
