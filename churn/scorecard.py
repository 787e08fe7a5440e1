"""A model that is a sum of small tables, so that a score and its reasons are look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.arrow import as_floats, places_among
from schemas.columns import Column, LogicalType

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAIRED = " & "  # between the names of the two features of a pair


class Kind(StrEnum):
    """How a feature's values are read and worded."""

    NUMBER = "number"
    WHOLE = "whole"
    YES_NO = "yes_no"
    CATEGORY = "category"


KINDS = {
    LogicalType.NUMBER: Kind.NUMBER,
    LogicalType.INTEGER: Kind.WHOLE,
    LogicalType.BOOLEAN: Kind.YES_NO,
    LogicalType.STRING: Kind.CATEGORY,
}


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One input and its bins.

    Bin 0 is missing. A number falls into bin 1 + (how many of `cuts` are at or below it), a category into
    bin 1 + (its place in `categories`), and a category never seen into the last bin.
    `labels` says in words what a value means where it does not speak for itself.
    """

    name: str
    kind: Kind
    title: str
    unit: str = ""
    minimum: float | None = None
    cuts: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    categories: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.cuts).all() and (np.diff(self.cuts) > 0).all()):
            raise ValueError(f"the cuts of {self.name} do not ascend")

    @property
    def edges(self) -> Floats:
        """The cuts between the bins of what `numbers` gives."""
        return np.arange(len(self.categories), dtype=np.float64) + 1.5 if self.kind is Kind.CATEGORY else self.cuts

    @property
    def bins(self) -> int:
        """How many bins there are, the missing one included."""
        return len(self.edges) + 2

    def numbers(self, column: pa.Array) -> Floats:
        """The column as float64 [rows], NaN where null. A category is its place counted from 1, an unseen one the next.

        So the kernel knows numbers only, and a category is searched for among its edges as a number is.
        """
        return places_among(column, self.categories) if self.kind is Kind.CATEGORY else as_floats(column)


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One addend: a table over one feature or over a pair.

    `features` are places in the card's features. `table` holds log-odds, one axis per feature.
    `bins[axis]` maps the feature's bin to the axis, as a pair is cut more coarsely than its features are.
    """

    features: tuple[int, ...]
    bins: tuple[Ints, ...] = field(repr=False)
    table: Floats = field(repr=False)

    def __post_init__(self) -> None:
        # The compiled kernel does not check bounds, so a term that points outside its table must not exist.
        fits = len(self.features) == len(self.bins) == self.table.ndim in (1, 2) and all(
            len(axis) and axis.min() >= 0 and axis.max() < size
            for axis, size in zip(self.bins, self.table.shape, strict=True)
        )
        if not fits or not np.isfinite(self.table).all():
            raise ValueError(f"a term of the features {self.features} does not fit its table")

    def parts(self, begin: int) -> tuple[Ints, Ints]:
        """What each bin of the first and of the second feature adds up to: a cell, the first one being `begin`."""
        if self.table.ndim == 1:
            return self.bins[0] + begin, np.zeros(1, np.int64)
        return self.bins[0] * self.table.shape[1] + begin, self.bins[1]


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard:
    """Log-odds are the intercept plus one cell of each term, summed in this order.

    A cell is known by its place when all terms' tables are laid end to end.
    `base_rate` is the share of churners that the card was calibrated to.
    """

    intercept: float
    features: tuple[Feature, ...]
    terms: tuple[Term, ...]
    base_rate: float

    def __post_init__(self) -> None:
        for term in self.terms:
            for place, axis in zip(term.features, term.bins, strict=True):
                if not 0 <= place < len(self.features) or len(axis) != self.features[place].bins:
                    raise ValueError(f"a term of the features {term.features} does not fit the card")

    @property
    def term_names(self) -> tuple[str, ...]:
        """Each term's name: its feature's, or both."""
        return tuple(PAIRED.join(self.features[place].name for place in term.features) for term in self.terms)

    @property
    def first_cells(self) -> Ints:
        """The first cell of each term, and one past the last; [terms + 1]."""
        return np.cumsum([0, *(term.table.size for term in self.terms)], dtype=np.int64)

    @property
    def cells(self) -> Floats:
        """The log-odds of every cell."""
        return np.concatenate([np.empty(0), *(term.table.ravel() for term in self.terms)])


class FittedEbm(Protocol):
    """What is read of interpret's ExplainableBoostingClassifier, which this module need not import."""

    bins_: Sequence[Sequence[Any]]
    term_features_: Sequence[tuple[int, ...]]
    term_scores_: Sequence[Floats]
    intercept_: Floats


def compile_ebm(ebm: FittedEbm, columns: Sequence[Column], base_rate: float) -> Scorecard:
    """The scorecard whose log-odds are those of `ebm.decision_function`, missing and unseen values included.

    `columns` describe the features in the order in which the EBM knows them.
    """
    features = tuple(_feature(column, levels) for column, levels in zip(columns, ebm.bins_, strict=True))
    terms = tuple(
        _term(tuple(places), np.asarray(scores), features, ebm.bins_)
        for places, scores in zip(ebm.term_features_, ebm.term_scores_, strict=True)
    )
    return Scorecard(float(ebm.intercept_[0]), features, terms, base_rate)


def rescaled(card: Scorecard, slope: float, shift: float) -> Scorecard:
    """The card of `slope * log_odds + shift`, folded into the tables so that the reasons still add up exactly."""
    terms = tuple(replace(term, table=term.table * slope) for term in card.terms)
    return replace(card, intercept=card.intercept * slope + shift, terms=terms)


def centred(card: Scorecard, rows: pa.Table, weights: Floats | None = None) -> Scorecard:
    """The same scores with each term's mean over `rows` moved into the intercept; each row counts `weights` times.

    A reason then says how far the customer is from the average customer of `rows`.
    """
    bins = binned(card, rows)
    means = [float(np.average(term.table[_cells(term, bins)], weights=weights)) for term in card.terms]
    terms = tuple(replace(term, table=term.table - mean) for term, mean in zip(card.terms, means, strict=True))
    return replace(card, intercept=card.intercept + sum(means), terms=terms)


def binned(card: Scorecard, rows: pa.Table) -> tuple[Ints, ...]:
    """The bins of every feature's column, each [rows]."""
    return tuple(_bins(feature, feature.numbers(one_array(rows, feature.name))) for feature in card.features)


def one_array(rows: pa.Table, name: str) -> pa.Array:
    """The column as a single array, without a copy where it is one already."""
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _cells(term: Term, bins: Sequence[Ints]) -> tuple[Ints, ...]:
    return tuple(axis[bins[place]] for place, axis in zip(term.features, term.bins, strict=True))


def _bins(feature: Feature, numbers: Floats) -> Ints:
    return np.where(np.isnan(numbers), 0, np.searchsorted(feature.edges, numbers, side="right") + 1)


def _feature(column: Column, levels: Sequence[Any]) -> Feature:
    kind = KINDS[column.logical_type]
    seen = {category: None for level in levels for category in level} if kind is Kind.CATEGORY else {}
    return Feature(
        name=column.name,
        kind=kind,
        title=column.words,
        unit=column.unit,
        minimum=column.minimum,
        cuts=np.empty(0) if kind is Kind.CATEGORY else np.unique(np.concatenate(levels).astype(np.float64)),
        categories=tuple(seen),
        labels=dict(zip(column.allowed, column.labels, strict=False)),
    )


def _term(places: tuple[int, ...], scores: Floats, features: Sequence[Feature], bins: Sequence[Sequence[Any]]) -> Term:
    # An EBM cuts a feature once for its main effect and, where it says so, once more and coarser for pairs.
    levels = [bins[place][min(len(bins[place]), len(places)) - 1] for place in places]
    axes = tuple(_axis(features[place], level) for place, level in zip(places, levels, strict=True))
    kept = tuple(slice(0, int(axis.max()) + 1) for axis in axes)
    return Term(places, axes, np.ascontiguousarray(scores[kept], dtype=np.float64))


def _axis(feature: Feature, level: Any) -> Ints:
    """The EBM's own bin for each bin of the feature: 0 is missing, a category's last is unseen."""
    if feature.kind is Kind.CATEGORY:
        unseen = max(level.values(), default=0) + 1
        return np.array([0, *(level.get(category, unseen) for category in feature.categories), unseen])
    return np.concatenate([[0, 1], np.searchsorted(level, feature.cuts, side="right") + 1])
