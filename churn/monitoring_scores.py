"""The scores of a watched night: how they are spread, and what the best list by them is, against a month ago."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.drift_price import Customers, Flags, Terms, best_of, worth_of
from churn.score_spread import Spread
from churn.scorecard import Floats, Ints
from schemas.monitoring import EVERYTHING
from schemas.outreach import Status

# Not those whom a rule of the policy's suppresses. Whoever was contacted lately counts: else a list that goes through
# its base would seem to earn less each night.
OPEN = frozenset(Status)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of a night, who may be contacted and what for; all [customers], but `keep` [customers, actions]."""

    customer_id: pa.Array
    segment: pa.Array
    log_odds: Floats = field(repr=False)
    customer_value: Floats = field(repr=False)
    open: Flags = field(repr=False)
    keep: Floats = field(repr=False)

    @property
    def customers(self) -> Customers:
        """As the price of drift is reckoned with them."""
        return Customers(self.log_odds, self.customer_value, self.open, self.keep)


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """The night of about a month ago that this one is compared with."""

    as_of: date
    scores: Scores


def is_open(status: pa.Array) -> Flags:
    """Who may be contacted by the policy's rules, now or when what rests them is over; [customers]."""
    return np.asarray(pc.is_in(status.cast(pa.string()), pa.array(sorted(OPEN), pa.string())))


def spreads_of(scores: Scores) -> dict[str, Spread]:
    """The spread of all scores, and of each segment's."""
    encoded = scores.segment.cast(pa.string()).dictionary_encode()
    codes = np.asarray(encoded.indices)
    theirs = {
        name: Spread.of(scores.log_odds[codes == code]) for code, name in enumerate(encoded.dictionary.to_pylist())
    }
    few = {name: theirs[name] for name in sorted(theirs) if name != EVERYTHING}  # who has no segment is not everybody
    return {EVERYTHING: Spread.of(scores.log_odds)} | few


def lists_of(scores: Scores, terms: Terms, before: Before | None) -> dict[str, Any]:
    """What the best list of the night's length would earn, and how it differs from that of a month ago."""
    worth = worth_of(scores.customers, terms)
    best = best_of(worth, terms.places)
    told: dict[str, Any] = {"expected_profit": float(worth[best].sum())}
    if before is not None:
        then = worth_of(before.scores.customers, terms)
        told["before_as_of"] = before.as_of
        told["expected_profit_before"] = float(then[best_of(then, terms.places)].sum())
        told["overlap_before"] = _overlap(scores, before, terms, best)
    return told


def _overlap(scores: Scores, before: Before, terms: Terms, best: Ints) -> float | None:
    """Of the list that the scores of then make of tonight's customers, the share that is on the list of now."""
    known, at = places_in(scores.customer_id, before.scores.customer_id)
    if not known.any():
        return None
    then = worth_of(before.scores.customers, terms)[at]
    listed = best_of(np.where(known & scores.open, then, -np.inf), terms.places)
    return len(np.intersect1d(listed, best)) / len(listed) if len(listed) else None


def places_in(customers: pa.Array, others: pa.Array) -> tuple[Flags, Ints]:
    """Who of the customers is among the others, and at which place there: 0 of who is not; both [customers]."""
    found = pc.index_in(customers, others)
    return np.asarray(pc.is_valid(found)), np.asarray(pc.fill_null(found, 0))
