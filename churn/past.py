"""What went before a list: whom contacts have closed a channel for, and who was in a wave lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.experiment import homes_of
from schemas.outreach import IN_THE_WAVE, STATUSES, Status
from schemas.policy import Policy

WAVE = pa.schema(
    [
        ("customer_id", pa.string()),
        ("wave_since", pa.date32()),
        ("staying", pa.bool_()),
        ("held_out", pa.bool_()),
        ("household", pa.string()),
    ]
)
REMEMBERED = ("customer_id", "status", "wave_since", "unit")  # what a list tells the next one of a customer


@dataclass(frozen=True, slots=True)
class Past:
    """What a list has to respect.

    `closed` has for each of the policy's channels the customers whom nobody may contact there. `wave` has a row of WAVE
    for each customer who was in a wave lately: since when, whether the stay goes on, whether he was held out, and his
    household, if the lot was drawn for it.
    """

    closed: tuple[pa.Array, ...]
    wave: pa.Table


def past_of(policy: Policy, as_of: date, contacts: pa.Table, statuses: pa.Table) -> Past:
    """The past of a list, from the rows of CONTACTS and what the lists before it remember."""
    return Past(_closed(policy, as_of, contacts), _wave(policy, as_of, contacts, statuses))


def looks_back_to(policy: Policy, as_of: date) -> date:
    """The last date of which a list need not know who was in a wave."""
    return as_of - timedelta(days=max(policy.cool_down.wave_days, policy.stickiness_days))


def latest(newest_first: Sequence[pa.Table]) -> pa.Table:
    """Of each customer the first row that there is, in the shape of `no_statuses`, with the first unit that is told.

    A list tells the unit while a customer is in the wave, and not of his rest.
    """
    fields = no_statuses().schema
    known = (table.cast(pa.schema([fields.field(name) for name in table.column_names])) for table in newest_first)
    rows = pa.concat_tables([fields.empty_table(), *known], promote_options="default").combine_chunks()
    newest, told = _firsts(rows), _firsts(rows.filter(pc.is_valid(rows["unit"])))
    units = told["unit"].take(pc.index_in(newest["customer_id"], told["customer_id"].combine_chunks()))
    return newest.set_column(newest.column_names.index("unit"), fields.field("unit"), units)


def _firsts(rows: pa.Table) -> pa.Table:
    keys = rows["customer_id"].combine_chunks().dictionary_encode()
    _, first = np.unique(np.asarray(keys.indices), return_index=True)
    return rows.take(pa.array(np.sort(first)))


def no_statuses() -> pa.Table:
    """What there is to remember where no list came before."""
    kinds = {"date": pa.date32(), "string": pa.string()}
    return pa.schema([(name, kinds[STATUSES.column(name).logical_type]) for name in REMEMBERED]).empty_table()


def _closed(policy: Policy, as_of: date, contacts: pa.Table) -> tuple[pa.Array, ...]:
    answers = {"refused_at": policy.cool_down.refused_days, "accepted_at": policy.cool_down.accepted_days}
    everywhere = [_since(contacts, answered, as_of, days) for answered, days in answers.items()]
    return tuple(
        _together(
            *everywhere,
            _since(
                contacts.filter(pc.equal(contacts["channel"], channel.name)),
                "last_contact",
                as_of,
                channel.cool_down_days,
            ),
        )
        for channel in policy.channels
    )


def _since(rows: pa.Table, column: str, as_of: date, days: int) -> pa.ChunkedArray:
    """The customers for whom fewer than so many days have passed; what comes after a list says nothing for it."""
    lately = pc.and_(_younger(rows[column], as_of, days), _before(rows[column], as_of))
    return rows.filter(lately)["customer_id"].cast(pa.string())


def _younger(dates: pa.ChunkedArray, as_of: date, days: int) -> pa.ChunkedArray:
    return pc.greater(dates, pa.scalar(as_of - timedelta(days=days), pa.date32()))


def _before(dates: pa.ChunkedArray, as_of: date) -> pa.ChunkedArray:
    return pc.less(dates, pa.scalar(as_of, pa.date32()))


def _wave(policy: Policy, as_of: date, contacts: pa.Table, statuses: pa.Table) -> pa.Table:
    rows = statuses.filter(pc.greater(statuses["wave_since"], pa.scalar(looks_back_to(policy, as_of), pa.date32())))
    status = rows["status"].cast(pa.string())
    in_the_wave = pc.is_in(status, pa.array(IN_THE_WAVE, pa.string()))
    in_time = _younger(rows["wave_since"], as_of, policy.stickiness_days)
    done = _contacted_since(rows, contacts.filter(_before(contacts["last_contact"], as_of)))
    staying = pc.and_(pc.and_(in_the_wave, in_time), pc.invert(done))
    keys = rows["customer_id"].cast(pa.string())
    homes = homes_of(rows["unit"].cast(pa.string()))
    return pa.table([keys, rows["wave_since"], staying, pc.equal(status, Status.HELD_OUT), homes], schema=WAVE)


def _contacted_since(rows: pa.Table, contacts: pa.Table) -> pa.ChunkedArray:
    """Whether there was a contact since the customer's stay began: it has done what it was for."""
    last = contacts.group_by("customer_id").aggregate([("last_contact", "max")])
    place = pc.index_in(rows["customer_id"].cast(pa.string()), last["customer_id"].cast(pa.string()))
    return pc.fill_null(pc.greater_equal(last["last_contact_max"].take(place), rows["wave_since"]), False)


def _together(*parts: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([chunk for part in parts for chunk in part.chunks] or [pa.array([], pa.string())])
