"""What the drift of a feature costs: the money that tonight's list forgoes because the feature is not as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from churn.drift import Bins, restored
from churn.metrics import probability
from churn.profit import expected_value
from churn.scorecard import Floats, Ints, Scorecard, Term
from schemas.policy import Action, Policy

SEED = 42
NO_REFERENCE: Sequence[float] = ()

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contact earns on average over the policy's actions, and how many are made for one list."""

    action: Action
    places: int

    @classmethod
    def of(cls, policy: Policy, places: int) -> Terms:
        """The mean of the policy's actions, offered to anybody."""
        offer, contact, keep = (
            float(np.mean([getattr(action, name) for action in policy.actions]))
            for name in ("offer_cost", "contact_cost", "keep_probability")
        )
        says = f"the mean of {len(policy.actions)} actions"
        return cls(
            Action(
                name="mean", channel="any", offer_cost=offer, contact_cost=contact, keep_probability=keep, says=says
            ),
            places,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The customers whom one champion scored: their places among all, and the bin of each feature.

    `place` is the segment that the champion holds, or all. `rows` is [customers], `bins` [features, customers];
    `reference` has the share of each bin of each feature among the customers that the model learnt from.
    """

    place: str
    card: Scorecard
    reference: Mapping[str, Sequence[float]] = field(repr=False)
    rows: Ints = field(repr=False)
    bins: Bins = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A night's scored customers: log-odds, what keeping each is worth, who may be contacted; all [customers].

    `parts` are those of each champion.
    """

    log_odds: Floats = field(repr=False)
    customer_value: Floats = field(repr=False)
    open: Flags = field(repr=False)
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """What tonight's list forgoes, in money a list, of what the best list would earn were the feature as it was.

    `overlap` is the share of that best list that is on tonight's, too.
    """

    money: float
    best: float
    overlap: float

    @property
    def share(self) -> float:
        """The part of the best list's money that is forgone."""
        return self.money / self.best if self.best > 0.0 else 0.0


def prices(base: Base, terms: Terms) -> dict[tuple[str, str], Price]:
    """The price of each feature's drift, by the place of its champion and its name.

    The model is taken at its word: were the feature spread as it was when the model learnt, each customer's risk would
    be another, and so would be who is worth a contact. What the list of those would earn more than tonight's, by those
    risks, is the price. A shift that leaves the order of customers as it is costs nothing.
    """
    worth = worth_of(base.log_odds, base, terms)
    tonight = best_of(worth, terms.places)
    return {(part.place, name): _price(mended, tonight, terms) for part, name, mended in _mended(base, worth, terms)}


def worth_of(log_odds: Floats, base: Base, terms: Terms) -> Floats:
    """What a contact with each customer is expected to earn; -inf for who may not be contacted, or has no value."""
    money = expected_value(probability(log_odds), base.customer_value, terms.action)
    return np.where(base.open & np.isfinite(money), money, -np.inf)


def best_of(worth: Floats, places: int) -> Ints:
    """The places of the customers who are worth most, at most so many and only who is worth anything."""
    few = min(places, len(worth))
    best = np.argpartition(-worth, few - 1)[:few] if 0 < few < len(worth) else np.arange(few)
    return np.asarray(best[worth[best] > 0.0])


def _mended(base: Base, worth: Floats, terms: Terms) -> Iterator[tuple[Part, str, Floats]]:
    """For each feature what each customer would be worth were it spread as before."""
    for part in base.parts:
        for place, feature in enumerate(part.card.features):
            reference = part.reference.get(feature.name, NO_REFERENCE)
            if len(reference) != feature.bins:
                continue  # a model of an earlier release kept none
            change = _change(part, place, reference)
            yield part, feature.name, _with_change(base, worth, part, change, terms) if change.any() else worth


def _change(part: Part, place: int, reference: Sequence[float]) -> Floats:
    """How much the log-odds would change were the feature at this place spread as before; [customers]."""
    feature, change = part.card.features[place], np.zeros(len(part.rows))
    touched = [term for term in part.card.terms if place in term.features and term.table.any()]
    if not touched:
        return change
    mended = restored(feature, part.bins[place], reference, np.random.default_rng([SEED, place]))
    moved = np.flatnonzero(mended != part.bins[place])
    before = part.bins[:, moved]
    after = before.copy()
    after[place] = mended[moved]
    for term in touched:
        change[moved] += _addends(term, after) - _addends(term, before)
    return change


def _addends(term: Term, bins: Bins) -> Floats:
    cells = tuple(axis[bins[place]] for place, axis in zip(term.features, term.bins, strict=True))
    return np.asarray(term.table[cells])


def _with_change(base: Base, worth: Floats, part: Part, change: Floats, terms: Terms) -> Floats:
    moved = np.flatnonzero(change)
    rows = part.rows[moved]
    money = expected_value(probability(base.log_odds[rows] + change[moved]), base.customer_value[rows], terms.action)
    mended = worth.copy()
    mended[rows] = np.where(base.open[rows] & np.isfinite(money), money, -np.inf)
    return mended


def _price(mended: Floats, tonight: Ints, terms: Terms) -> Price:
    best = best_of(mended, terms.places)
    most = float(mended[best].sum())
    both = np.intersect1d(best, tonight, assume_unique=True)
    return Price(most - float(mended[tonight].sum()), most, len(both) / len(best) if len(best) else 1.0)
