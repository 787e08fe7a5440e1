"""What the drift of a feature costs: the money that tonight's list forgoes because the feature is not as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.actions import is_answered
from churn.causes import keep_of
from churn.drift import Bins, restored, values_of
from churn.metrics import probability
from churn.profit import expected_value
from churn.scorecard import Feature, Floats, Ints, Scorecard, Term
from schemas.policy import Action, Policy

SEED, REASON = 42, "reason_1_feature"
NO_REFERENCE: Sequence[float] = ()
# Times as many as when the model learnt meet a cause, or as few: a month of storms has more complaints.
ORDINARILY = 2.0

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done for a customer, and for how many of them in one list."""

    actions: tuple[Action, ...]
    places: int

    @classmethod
    def of(cls, policy: Policy) -> Terms:
        """The policy's actions and its capacity."""
        return cls(policy.actions, policy.capacity)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the customer row that causes look at, each once."""
        return tuple(sorted({name for action in self.actions for name in action.cause_columns}))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The customers whom one champion scored: their places among all, and the bin of each feature.

    `place` is the segment that the champion holds, or all. `rows` is [customers], `bins` [features, customers];
    `reference` has the share of each bin of each feature among the customers that the model learnt from. `causes` has
    the columns that causes look at, of the same customers.
    """

    place: str
    card: Scorecard
    reference: Mapping[str, Sequence[float]] = field(repr=False)
    rows: Ints = field(repr=False)
    bins: Bins = field(repr=False)
    causes: pa.Table = field(default_factory=lambda: pa.table({}), repr=False)


class Customers(NamedTuple):
    """Of scored customers the log-odds, what keeping each is worth, who may be contacted, all [customers], and `keep`
    [customers, actions], the chance that each action keeps who would leave: NaN where it is not meant for him.
    """

    log_odds: Floats
    customer_value: Floats
    open: Flags
    keep: Floats

    def at(self, rows: Ints) -> Customers:
        """Those at these places."""
        return Customers(self.log_odds[rows], self.customer_value[rows], self.open[rows], self.keep[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A night's scored customers, and the parts of each champion."""

    customers: Customers = field(repr=False)
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
    risks, is the price. A shift that leaves the order of customers as it is costs nothing. Where a cause looks at the
    feature, so would be whom its action is meant for.
    """
    worth = worth_of(base.customers, terms)
    tonight = best_of(worth, terms.places)
    return {(part.place, name): _price(mended, tonight, terms) for part, name, mended in _mended(base, worth, terms)}


def keep_by(rows: pa.Table, actions: Sequence[Action]) -> Floats:
    """The chance that each action keeps each customer who would leave, NaN where it is not meant for him.

    `rows` has the columns that causes look at and, where an action asks for them, the reasons; of whom nobody has told
    any, as of most whom a model without tables scored, it may be meant for him. [customers, actions].
    """
    kept = [np.where(_may_be_meant(rows, action), keep_of(rows, action), np.nan) for action in actions]
    return np.stack(kept, axis=1)


def _may_be_meant(rows: pa.Table, action: Action) -> Flags:
    meant = is_answered(rows, action)
    return meant | np.asarray(rows[REASON].is_null()) if action.answers else meant


def worth_of(customers: Customers, terms: Terms) -> Floats:
    """What the best contact with each is expected to earn; -inf for who may not be contacted, for whom nothing is
    meant, or whose value is not known.
    """
    chance, most = probability(customers.log_odds), np.full(len(customers.log_odds), -np.inf)
    for action, keep in zip(terms.actions, customers.keep.T, strict=True):
        np.fmax(most, expected_value(chance, customers.customer_value, action, keep), out=most)
    return np.where(customers.open, most, -np.inf)


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
            yield part, feature.name, _worth_as_before(base.customers, worth, part, place, terms)


def _worth_as_before(customers: Customers, worth: Floats, part: Part, place: int, terms: Terms) -> Floats:
    """What each customer would be worth were the feature at this place spread as when the model learnt."""
    feature = part.card.features[place]
    touched = [term for term in part.card.terms if place in term.features and term.table.any()]
    if not touched and feature.name not in terms.columns:
        return worth
    dice = np.random.default_rng([SEED, place])
    mended = restored(feature, part.bins[place], part.reference[feature.name], dice)
    moved = np.flatnonzero(mended != part.bins[place])
    theirs = customers.at(part.rows[moved])
    change = _change(touched, part.bins[:, moved], place, mended[moved])
    causes = _causes_as_before(part, moved, feature, mended[moved])
    keep = _keep_as_before(customers.keep[part.rows], moved, causes, feature.name, terms)
    as_before = worth.copy()
    as_before[part.rows[moved]] = worth_of(theirs._replace(log_odds=theirs.log_odds + change, keep=keep), terms)
    return as_before


def _change(touched: Sequence[Term], bins: Bins, place: int, mended: Bins) -> Floats:
    """How much the log-odds change with the bins of the feature at this place; [customers]."""
    after = bins.copy()
    after[place] = mended
    return np.asarray(sum((_addends(term, after) - _addends(term, bins) for term in touched), np.zeros(len(mended))))


def _addends(term: Term, bins: Bins) -> Floats:
    cells = tuple(axis[bins[place]] for place, axis in zip(term.features, term.bins, strict=True))
    return np.asarray(term.table[cells])


def _causes_as_before(part: Part, moved: Ints, feature: Feature, mended: Bins) -> pa.Table:
    """What causes look at of the customers at these places, the feature as it was; nothing where none looks at it."""
    if feature.name not in part.causes.column_names:
        return pa.table({})
    values, column = values_of(feature, mended), part.causes.schema.field(feature.name)
    if pa.types.is_boolean(column.type):
        values = values.cast(column.type)
    rows = part.causes.take(pa.array(moved))
    return rows.set_column(rows.column_names.index(feature.name), feature.name, values)


def _keep_as_before(keep: Floats, moved: Ints, causes: pa.Table, name: str, terms: Terms) -> Floats:
    """The chances of each action by the causes as they were of those at the places; [moved, actions].

    Causes come and go with the months: they are as tonight, unless the feature says so of many more or fewer.
    """
    before = keep[moved]
    for number, action in enumerate(terms.actions):
        if name in action.cause_columns and causes.column_names:
            were, tonight = keep_of(causes, action), _meant(keep[:, number])
            then = tonight - _meant(before[:, number]) + _meant(were)
            if max(tonight, then) > ORDINARILY * min(tonight, then):
                before[:, number] = were
    return before


def _meant(keep: Floats) -> int:
    """For how many it is meant."""
    return int((~np.isnan(keep)).sum())


def _price(mended: Floats, tonight: Ints, terms: Terms) -> Price:
    best = best_of(mended, terms.places)
    most, in_vain = float(mended[best].sum()), -min(action.contact_cost for action in terms.actions)
    both = np.intersect1d(best, tonight, assume_unique=True)
    earned = float(np.where(np.isfinite(mended[tonight]), mended[tonight], in_vain).sum())
    return Price(most - earned, most, len(both) / len(best) if len(best) else 1.0)
