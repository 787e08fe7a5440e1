"""Which model scores whom: the champion of the customer's segment, or that of all where the segment has none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from churn.errors import PromotionRefused, RequestError
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
    return _scored_in_parts(rows, places_of(rows, contract, champions) or {ALL: _every(rows)}, score)


def scored_by_model(rows: pa.Table, digests: pa.ChunkedArray, score: Score) -> pa.Table:
    """What `score` gives for every row, in their order; it is called once for each of the models, with their rows."""
    encoded = digests.combine_chunks().cast(pa.string()).dictionary_encode()
    codes = encoded.indices.to_numpy()
    places = {digest: np.flatnonzero(codes == code) for code, digest in enumerate(encoded.dictionary.to_pylist())}
    return _scored_in_parts(rows, places, score)


def places_of(rows: pa.Table, contract: Contract, champions: Collection[str]) -> Mapping[str, Ints]:
    """The places of the rows that each champion scores, ascending; no entry where it has none to score.

    Whose segment is missing, unknown, or has no champion of its own belongs to ALL.
    """
    own = sorted(set(champions) - {ALL})
    column = contract.one(Role.SEGMENT)
    if column is None or not own:
        return {ALL: _every(rows)} if rows.num_rows else {}
    segments = one_array(rows, column.name).cast(pa.string())
    import pyarrow.compute as pc  # who asks for one customer does without its 8 MB

    codes = pc.fill_null(pc.index_in(segments, pa.array(own, pa.string())), len(own)).to_numpy()
    found = ((segment, np.flatnonzero(codes == code)) for code, segment in enumerate([*own, ALL]))
    return {segment: theirs for segment, theirs in found if len(theirs)}


def require_places(places: Sequence[str], contract: Contract, *, learnt_from: str) -> None:
    """RequestError for a segment that the contract does not know, PromotionRefused for one the model never saw.

    `learnt_from` is the segment of the customers that the model learnt from, or ALL.
    """
    column = contract.one(Role.SEGMENT)
    known = (ALL, *column.allowed) if column and column.allowed else ()
    unknown = [place for place in places if known and place not in known]
    if unknown:
        raise RequestError(
            f"there is no segment {', '.join(unknown)}", where=contract.name, to_do=f"There are {', '.join(known)}."
        )
    strange = [place for place in places if learnt_from not in (ALL, place)]
    if strange:
        raise PromotionRefused(
            f"it learnt from {learnt_from} alone, and would score {', '.join(strange)}",
            where=contract.name,
            to_do=f"Promote it for {learnt_from}, or train one for all.",
        )


def _scored_in_parts(rows: pa.Table, places: Mapping[str, Ints], score: Score) -> pa.Table:
    if len(places) == 1:
        return score(next(iter(places)), rows)
    parts = [score(name, rows.take(pa.array(theirs))) for name, theirs in places.items()]
    order = np.argsort(np.concatenate(list(places.values())))
    return pa.concat_tables(parts).unify_dictionaries().take(pa.array(order))


def _every(rows: pa.Table) -> Ints:
    return np.arange(rows.num_rows)


def mean_rate(customers: Mapping[str, int], rates: Mapping[str, float]) -> float:
    """The churn rate to expect of a base in which each model scores that many customers, more than 0 in all."""
    everybody = sum(customers.values())
    return sum(count * rates[digest] for digest, count in customers.items()) / everybody
