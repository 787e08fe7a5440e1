"""Which model scores whom: the champion of the customer's segment, or that of all where the segment has none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.scorecard import Ints, one_array
from schemas.columns import Role
from schemas.contract import Contract

ALL = "all"  # the place whose champion scores whoever has none of his own

Score = Callable[[str, pa.Table], pa.Table]


def scored_by_segment(rows: pa.Table, contract: Contract, champions: Collection[str], score: Score) -> pa.Table:
    """What `score` gives for every row, in the order of `rows`.

    It is called once for each champion that has customers among them, with the champion's segment and their rows;
    `champions` are the segments that have one of their own. Rows that all have the same champion are not copied.
    """
    places = places_of(rows, contract, champions)
    if len(places) < 2:
        return score(next(iter(places), ALL), rows)
    parts = [score(segment, rows.take(pa.array(theirs))) for segment, theirs in places.items()]
    order = np.argsort(np.concatenate(list(places.values())))
    return pa.concat_tables(parts).unify_dictionaries().take(pa.array(order))


def places_of(rows: pa.Table, contract: Contract, champions: Collection[str]) -> Mapping[str, Ints]:
    """The places of the rows that each champion scores, ascending; no entry where it has none to score.

    Whose segment is missing, unknown, or has no champion of its own belongs to ALL.
    """
    own = sorted(set(champions) - {ALL})
    column = contract.one(Role.SEGMENT)
    if column is None or not own:
        return {ALL: np.arange(rows.num_rows)} if rows.num_rows else {}
    segments = one_array(rows, column.name).cast(pa.string())
    codes = pc.fill_null(pc.index_in(segments, pa.array(own, pa.string())), len(own)).to_numpy()
    found = ((segment, np.flatnonzero(codes == code)) for code, segment in enumerate([*own, ALL]))
    return {segment: theirs for segment, theirs in found if len(theirs)}


def mean_rate(customers: Mapping[str, int], rates: Mapping[str, float]) -> float:
    """The churn rate to expect of a base in which each model scores that many customers, more than 0 in all."""
    everybody = sum(customers.values())
    return sum(count * rates[digest] for digest, count in customers.items()) / everybody
