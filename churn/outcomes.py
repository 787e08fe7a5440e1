"""What became of a wave's customers: who came into it first when, who left within the horizon, who was contacted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.interventions import CONTACT_EVENTS, Event
from schemas.outreach import IN_THE_WAVE, ModelArm, Status

MEMBERS = pa.schema(
    [
        ("as_of", pa.date32()),
        ("customer_id", pa.string()),
        ("held_out", pa.bool_()),
        ("action", pa.string()),
        ("policy_digest", pa.string()),
        ("segment", pa.string()),
        ("band", pa.string()),
        ("probability", pa.float64()),
        ("customer_value", pa.float64()),
        ("unit", pa.string()),
        ("model_arm", pa.string()),
        ("champion_customers", pa.int64()),
        ("challenger_customers", pa.int64()),
    ]
)
IN_SCORES = ("segment", "band", "probability")
IN_STATUSES = ("as_of", "customer_id", "action", "policy_digest", "customer_value", "unit", "model_arm")


def wave_members(statuses: pa.Table, scores: pa.Table) -> pa.Table:
    """The MEMBERS of a wave: who of STATUSES was listed or held out, and what SCORES said of them, whoever decided.

    Money is as the policy has it; it is null, and so are unit and arm, where a list of an earlier release did not tell.
    How many of the whole base the lot dealt to either model stands with each member.
    """
    rows = statuses.filter(pc.is_in(statuses["status"].cast(pa.string()), pa.array(IN_THE_WAVE, pa.string())))
    untold = pa.nulls(rows.num_rows)
    columns = {name: rows[name] if name in rows.column_names else untold for name in IN_STATUSES}
    columns["held_out"] = pc.equal(rows["status"].cast(pa.string()), Status.HELD_OUT.value)
    dealt = _dealt(statuses)
    columns |= {f"{arm}_customers": pa.array([dealt.get(arm)] * rows.num_rows, pa.int64()) for arm in ModelArm}
    for name in IN_SCORES:
        columns[name] = _looked_up(scores[name], scores["customer_id"], rows["customer_id"])
    return pa.table([columns[field.name].cast(field.type) for field in MEMBERS], schema=MEMBERS)


def matured(as_ofs: Iterable[date], horizon_days: int, known_at: datetime) -> list[date]:
    """The dates of which by known_at everybody who left within the horizon can be known, in order."""
    return sorted(as_of for as_of in as_ofs if _midnight(as_of + timedelta(days=horizon_days)) <= known_at)


def told_until(newest: datetime | None, moment: datetime) -> datetime:
    """Up to when a source tells who left: one whose `newest` fact is older says of nobody that he left since."""
    return min(newest or moment, moment)


def entries(waves: pa.Table) -> pa.Table:
    """Each customer's first row in waves of several dates, in order of dates and keys.

    Who was contacted is left alone for a while and who was held out was not, so that only of those who come into a wave
    for the first time are as many held out as the lot says.
    """
    ordered = waves.sort_by([("as_of", "ascending"), ("customer_id", "ascending")])
    numbered = ordered.append_column("place", pa.array(np.arange(ordered.num_rows)))
    firsts = numbered.group_by("customer_id", use_threads=False).aggregate([("place", "min")])["place_min"]
    return ordered.take(pc.take(firsts, pc.sort_indices(firsts)))


def with_departures(members: pa.Table, departures: pa.Table, horizon_days: int) -> pa.Table:
    """The members with `churned`: whether each left from the day of his wave on, within the horizon.

    `departures` has customer_id and churned_on, one row each. Who turns out to have left before his wave is out: there
    was nobody to keep.
    """
    left_on = _looked_up(departures["churned_on"], departures["customer_id"], members["customer_id"])
    days = pc.days_between(members["as_of"], left_on)
    churned = pc.fill_null(pc.and_(pc.greater_equal(days, 0), pc.less(days, horizon_days)), False)
    had_left = pc.fill_null(pc.less(days, 0), False)
    return members.append_column("churned", churned).filter(pc.invert(had_left))


def with_contacts(members: pa.Table, events: pa.Table, horizon_days: int) -> pa.Table:
    """The members, each customer once, with `contacted` and `accepted`: whether an event says so.

    `events` has as_of, customer_id and event. Those count that were made for any list from the day of the member's wave
    on, within the horizon: a stay lasts several nights, and it is the list of any of them that a team has in hand.
    """
    place = pc.index_in(events["customer_id"].cast(pa.string()), members["customer_id"].cast(pa.string()))
    days = pc.days_between(pc.take(members["as_of"], place), events["as_of"])
    in_time = pc.fill_null(pc.and_(pc.greater_equal(days, 0), pc.less(days, horizon_days)), False)
    for name, which in (("contacted", CONTACT_EVENTS), ("accepted", (Event.ACCEPTED,))):
        theirs = pc.and_(in_time, pc.is_in(events["event"], pa.array([event.value for event in which])))
        happened = np.zeros(members.num_rows, np.bool_)
        happened[place.filter(theirs).to_numpy()] = True
        members = members.append_column(name, pa.array(happened))
    return members


def _dealt(statuses: pa.Table) -> Mapping[str, int]:
    """How many customers the lot dealt to each model; empty where a list of an earlier release did not tell."""
    if "model_arm" not in statuses.column_names:
        return {}
    arm_of = statuses["model_arm"].cast(pa.string())
    return {arm: pc.sum(pc.equal(arm_of, arm), min_count=0).as_py() for arm in ModelArm}


def _looked_up(values: pa.ChunkedArray, keys: pa.ChunkedArray, wanted: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each wanted key its value; null where it has none."""
    places = pc.index_in(wanted.cast(pa.string()), keys.cast(pa.string()).combine_chunks())
    return pc.take(values, places)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)
