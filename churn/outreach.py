"""Decides whom to contact: filter first, rank after, exactly as many as capacity allows.

The base comes in parts (its buckets). Each part is judged by itself and hands up its best candidates; the cut
between listed and not is drawn once over all of them, so the list does not depend on how the base was split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.profit import Floats, expected_value
from schemas.outreach import OUTREACH, STATUSES, Status
from schemas.policy import Policy, Suppression

Flags = npt.NDArray[np.bool_]

CANDIDATE = -1
NOT_WORTH_IT = -2


@dataclass(frozen=True, slots=True)
class Judged:
    """One part of the base: expected values in money and a verdict for each customer, all of shape (n,).

    A verdict is the number of the suppression rule that applies first, or CANDIDATE, or NOT_WORTH_IT.
    """

    customer_id: pa.Array
    expected_value: Floats
    verdict: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of a list and of its statuses carries."""

    as_of: date
    policy_digest: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The last place on the list: who is worth less, or as much with a later key, is beyond capacity."""

    expected_value: float
    customer_id: str

    @classmethod
    def nobody(cls) -> Cut:
        """The cut of an empty list."""
        return cls(np.inf, "")


def judge(rows: pa.Table, policy: Policy) -> Judged:
    """Filters and values one part of the base.

    `rows` has customer_id, probability, customer_value and every column that the policy's rules look at.
    """
    value = expected_value(_floats(rows, "probability"), _floats(rows, "customer_value"), policy)
    worth_it = value > policy.minimum_expected_value  # False for NaN: an unknown value is no reason to call
    verdict = np.where(worth_it, CANDIDATE, NOT_WORTH_IT).astype(np.int16)
    for number, rule in reversed(list(enumerate(policy.suppress))):
        verdict[_applies(rule, rows)] = number
    return Judged(rows["customer_id"].combine_chunks(), value, verdict)


def best(judged: Judged, capacity: int) -> pa.Table:
    """The part's candidates that could be on a list of `capacity`: customer_id and expected_value, best first."""
    candidates = np.flatnonzero(judged.verdict == CANDIDATE)
    table = pa.table(
        {
            "expected_value": judged.expected_value[candidates],
            "customer_id": judged.customer_id.take(pa.array(candidates)).cast(pa.string()),
        }
    )
    return ranked(table).slice(0, capacity)


def draw_cut(bests: Iterable[pa.Table], capacity: int) -> Cut:
    """The last place of the list that the best candidates of all parts make."""
    places = ranked(pa.concat_tables(bests)).slice(0, capacity)
    if places.num_rows == 0:
        return Cut.nobody()
    return Cut(places["expected_value"][-1].as_py(), places["customer_id"][-1].as_py())


def ranked(table: pa.Table) -> pa.Table:
    """The rows by expected value, best first; equals by key, so that the order never depends on the input's."""
    return table.sort_by([("expected_value", "descending"), ("customer_id", "ascending")])


def is_listed(judged: Judged, cut: Cut) -> Flags:
    """Which customers of the part are on the list. Shape (n,)."""
    at_cut = judged.expected_value == cut.expected_value
    listed = judged.expected_value > cut.expected_value
    if at_cut.any():
        not_after = pc.less_equal(judged.customer_id, pa.scalar(cut.customer_id, judged.customer_id.type))
        listed |= at_cut & np.asarray(not_after)
    return np.asarray(listed & (judged.verdict == CANDIDATE))


def status_columns(judged: Judged, cut: Cut, policy: Policy) -> tuple[pa.Array, pa.Array]:
    """The status and the rule in words of each customer of the part, each of shape (n,)."""
    names, rules = _verdict_words(policy)
    codes = judged.verdict.astype(np.int32)
    beyond, not_worth_it, listed = (len(policy.suppress) + place for place in range(3))
    codes[judged.verdict == CANDIDATE] = beyond
    codes[judged.verdict == NOT_WORTH_IT] = not_worth_it
    codes[is_listed(judged, cut)] = listed
    return (
        pa.DictionaryArray.from_arrays(codes, names),
        pa.DictionaryArray.from_arrays(codes, rules),
    )


def status_rows(judged: Judged, cut: Cut, policy: Policy, stamp: Stamp) -> pa.Table:
    """Everybody's status in the shape of `schemas.outreach.STATUSES`, in the part's own order."""
    status, rule = status_columns(judged, cut, policy)
    count = len(status)
    columns = {
        "as_of": pa.repeat(pa.scalar(stamp.as_of, pa.date32()), count),
        "customer_id": judged.customer_id,
        "status": status,
        "rule": rule,
        "expected_value": pa.array(judged.expected_value, from_pandas=True),
        "policy_digest": pa.repeat(pa.scalar(stamp.policy_digest), count),
    }
    return pa.table({name: columns[name] for name in STATUSES.names})


def list_rows(listed: pa.Table, stamp: Stamp) -> pa.Table:
    """The outreach list in the shape of `schemas.outreach.OUTREACH`, from score rows with their expected_value."""
    ordered = ranked(listed)
    count = ordered.num_rows
    columns = {name: ordered[name] for name in OUTREACH.names if name in ordered.column_names}
    columns["rank"] = pa.array(np.arange(1, count + 1, dtype=np.int64))
    columns["policy_digest"] = pa.repeat(pa.scalar(stamp.policy_digest), count)
    return pa.table({name: columns[name] for name in OUTREACH.names})


def _verdict_words(policy: Policy) -> tuple[pa.Array, pa.Array]:
    names = [rule.status for rule in policy.suppress]
    rules = [rule.because for rule in policy.suppress]
    names += [Status.BEYOND_CAPACITY, Status.NOT_WORTH_IT, Status.LISTED]
    rules += [
        f"worth a contact, but {policy.capacity} others are worth more",
        f"expected value is not above {policy.minimum_expected_value:g}",
        f"among the {policy.capacity} contacts that are worth most",
    ]
    return pa.array(names, pa.string()), pa.array(rules, pa.string())


def _applies(rule: Suppression, rows: pa.Table) -> Flags:
    column = rows[rule.column]
    wanted = pa.scalar(rule.equals).cast(column.type)
    return np.asarray(pc.fill_null(pc.equal(column, wanted), False))


def _floats(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows[name], dtype=np.float64)
