"""How alike two nights rank the same customers: hardly at all where a join gave their rows to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from churn.drift_price import Flags, Terms, best_of, worth_of
from churn.monitoring_scores import Scores, places_in
from churn.score_spread import rank_correlation
from churn.scorecard import Floats
from schemas.monitoring import EVERYTHING

# Customers in both nights: of fewer the correlation says little, as that of 400 strangers is within .1 of none.
FEWEST_IN_BOTH = 400


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """The scores of the last night whose customers nobody doubts, by the same kind of model; [customers]."""

    as_of: date
    customer_id: pa.Array
    log_odds: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a night ranks its customers against an earlier one.

    `order_kept` has the rank correlation of the customers of each segment who are in both, and of all: 1 is the same
    order, 0 that of strangers; not of segments of which too few are. `forgone` is what tonight's list forgoes, in
    money, should the earlier scores be the right ones.
    """

    as_of: date
    order_kept: Mapping[str, float]
    forgone: float


def likeness_of(tonight: Scores, earlier: Earlier, terms: Terms) -> Likeness:
    """The night against the earlier one."""
    known, at = places_in(tonight.customer_id, earlier.customer_id)
    then = np.where(known, earlier.log_odds[at], tonight.log_odds) if known.any() else tonight.log_odds
    return Likeness(earlier.as_of, _orders_kept(tonight, then, known), _forgone(tonight, then, terms))


def _orders_kept(tonight: Scores, then: Floats, known: Flags) -> dict[str, float]:
    """Within segments, since strangers in a segment of low risk rank below those of another still."""
    encoded = tonight.segment.cast(pa.string()).dictionary_encode()
    codes, names = np.asarray(encoded.indices), encoded.dictionary.to_pylist()
    parts = {name: known & (codes == code) for code, name in enumerate(names)}
    masks = parts | {EVERYTHING: known}  # in this order: who has no segment is called so, too
    kept = {
        name: rank_correlation(tonight.log_odds[mask], then[mask])
        for name, mask in masks.items()
        if mask.sum() >= FEWEST_IN_BOTH
    }
    return {name: order for name, order in kept.items() if order is not None}


def _forgone(tonight: Scores, then: Floats, terms: Terms) -> float:
    listed = best_of(worth_of(tonight.customers, terms), terms.places)
    worth = worth_of(tonight.customers._replace(log_odds=then), terms)
    return float(worth[best_of(worth, terms.places)].sum() - worth[listed].sum())
