"""Labels that know who was called: a contact changes what comes, so what came of the called teaches nothing of risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.scorecard import Floats, one_array
from schemas.interventions import CONTACT_EVENTS
from schemas.outreach import Status

LISTED, HELD_OUT = Status.LISTED.value, Status.HELD_OUT.value
CONTACTED = "contacted"  # for a list of before the time that counts

# What lessons say of each customer's wave, beside the customer's own columns; null where he was in none.
ARM, ACTION, POLICY, SHARE = "wave_arm", "wave_action", "wave_policy", "wave_share"

TREATED = pa.schema(
    [
        ("as_of", pa.date32()),
        ("customer_id", pa.string()),
        (ARM, pa.string()),
        (ACTION, pa.string()),
        (POLICY, pa.string()),
        (SHARE, pa.float64()),
    ]
)
_FIRST_COUNTS = (LISTED, CONTACTED, HELD_OUT)  # who was held out one night and called another was called


def treated(members: pa.Table, events: pa.Table, as_ofs: Sequence[date], horizon_days: int) -> pa.Table:
    """TREATED: of each of these dates, who was in a wave or contacted within a horizon of it; a customer once a date.

    A call of the weeks before works on into the label, so that the time that counts begins a horizon before the date.
    `members` has as_of, customer_id, held_out, action, policy_digest and share, the chance of being held out; `events`
    are INTERVENTIONS.
    """
    known = pa.concat_tables([_of_waves(members), _of_contacts(events)])
    found = [_in_time(known, as_of, timedelta(days=horizon_days)) for as_of in as_ofs]
    return pa.concat_tables([TREATED.empty_table(), *found])


def with_treatment(rows: pa.Table, key: str, found: pa.Table) -> pa.Table:
    """The rows to learn from, with ARM, ACTION, POLICY and SHARE of each customer; `found` is TREATED."""
    place = pc.index_in(_named(rows, key), value_set=_named(found, "customer_id"))
    for name in (ARM, ACTION, POLICY, SHARE):
        rows = rows.append_column(name, one_array(found, name).take(place))
    return rows


def lot_weights(rows: pa.Table) -> Floats:
    """How many customers each row stands for, so that all of them are as if nobody had been called. Shape (n,).

    Who was called stands for nobody; who was held out stands for himself and for the listed, who were chosen as he was,
    but for the lot. It counts by the inverse of the lot's chance, so that of each date there are as many as were in its
    waves. Where nobody was held out, nobody stands for the called: they are missing, and so are those like them.
    """
    weights = np.ones(rows.num_rows)
    if ARM not in rows.column_names:
        return weights
    arm = rows[ARM].cast(pa.string())
    listed, contacted, spared = (_flags(pc.equal(arm, name)) for name in (LISTED, CONTACTED, HELD_OUT))
    weights[listed | contacted] = 0.0
    weights[spared] = _inverse(rows[SHARE])[spared]
    date_of = np.asarray(one_array(rows, "as_of").dictionary_encode().indices)
    in_waves, standing = np.bincount(date_of, listed | spared), np.bincount(date_of, weights * spared)
    scale = np.divide(in_waves, standing, out=np.ones_like(standing), where=standing > 0.0)
    return np.where(spared, weights * scale[date_of], weights)


def _of_waves(members: pa.Table) -> pa.Table:
    arm = pc.if_else(pc.fill_null(members["held_out"], False), HELD_OUT, LISTED)
    names = {"action": ACTION, "policy_digest": POLICY, "share": SHARE}
    columns = {name: members[own] for own, name in names.items()}
    return _table({"as_of": members["as_of"], "customer_id": members["customer_id"], ARM: arm} | columns)


def _of_contacts(events: pa.Table) -> pa.Table:
    """By the day on which somebody may have noticed, whatever the date of his list."""
    made = events.filter(pc.is_in(events["event"], pa.array([event.value for event in CONTACT_EVENTS])))
    nobody = pa.nulls(made.num_rows)
    columns = {"as_of": made["occurred_at"], "customer_id": made["customer_id"], ACTION: made["action"]}
    return _table(columns | {ARM: pa.repeat(CONTACTED, made.num_rows), POLICY: nobody, SHARE: nobody})


def _table(columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    return pa.table([columns[field.name].cast(field.type, safe=False) for field in TREATED], schema=TREATED)


def _in_time(known: pa.Table, as_of: date, horizon: timedelta) -> pa.Table:
    """Each customer's one row of those from a horizon before the date to before one after it, as of the date."""
    days = known["as_of"]
    from_first = pc.greater_equal(days, pa.scalar(as_of - horizon))
    before_end = pc.less(days, pa.scalar(as_of + horizon))
    within = known.filter(pc.and_(from_first, before_end))
    rank = pc.index_in(within[ARM], value_set=pa.array(_FIRST_COUNTS))
    ordered = within.append_column("rank", rank).sort_by(
        [("rank", "ascending"), ("as_of", "ascending"), ("customer_id", "ascending")]
    )
    ordered = ordered.append_column("place", pa.array(np.arange(ordered.num_rows)))
    firsts = ordered.group_by("customer_id", use_threads=False).aggregate([("place", "min")])["place_min"]
    rows = ordered.take(firsts).drop_columns(["rank", "place"])
    return rows.set_column(0, "as_of", pa.repeat(pa.scalar(as_of, pa.date32()), rows.num_rows)).cast(TREATED)


def _named(rows: pa.Table, key: str) -> pa.Array:
    """A name for each row's date and customer."""
    days, customers = (one_array(rows, name).cast(pa.string()) for name in ("as_of", key))
    return pc.binary_join_element_wise(days, customers, " ")


def _inverse(share: pa.ChunkedArray) -> Floats:
    """What the lot's chance makes of each; alike where nobody knows the chance any more."""
    known = np.nan_to_num(np.asarray(share.cast(pa.float64()).to_numpy(), np.float64), nan=1.0)
    return np.divide(1.0, known, out=np.ones_like(known), where=known > 0.0)


def _flags(values: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), np.bool_)
