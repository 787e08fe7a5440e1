"""What a customer has where a reason applies, in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.lookup import NO_CELL, Cells
from churn.scorecard import Feature, Ints, Kind, Scorecard, Term

NEVER_SEEN = "one never seen before"
MISSING = "not on record"  # which is true of what is unknown and of what never was
IN_PERCENT = ("share", "ratio")


class Reasons(NamedTuple):
    """One place among the reasons of n customers; null where there is none."""

    feature: pa.DictionaryArray  # the name of the feature, or of both
    value: pa.DictionaryArray  # in words
    log_odds: pa.DoubleArray


def reasons(card: Scorecard, cells: Cells) -> Reasons:
    """The names, words and log-odds of these cells [n]; a text is made per cell, never per customer."""
    nobody = cells == NO_CELL
    there = np.where(nobody, 0, cells)
    terms = np.searchsorted(card.first_cells, there, side="right") - 1
    return Reasons(
        feature=_encoded(terms, nobody, card.term_names),
        value=_encoded(there, nobody, words(card)),
        log_odds=pa.array(card.cells[there], mask=nobody),
    )


@lru_cache(maxsize=32)
def words(card: Scorecard) -> tuple[str, ...]:
    """What a customer has who falls into each cell of the card."""
    return tuple(text for term in card.terms for text in _term_words(term, card.features))


def bin_words(feature: Feature, bins: Ints) -> str:
    """What a customer has who falls into one of these neighbouring bins, such as "tenure: 11 to 13 months"."""
    if bins[0] == 0:
        return f"{feature.title}: {MISSING}"
    if feature.kind is Kind.CATEGORY:
        return f"{feature.title}: {' or '.join(_category(feature, place) for place in bins)}"
    edges = [-inf, *feature.cuts.tolist(), inf]
    return f"{feature.title}: {_span(feature, edges[bins[0] - 1], edges[bins[-1]])}"


def _term_words(term: Term, features: Sequence[Feature]) -> list[str]:
    axes = [
        [bin_words(features[place], np.flatnonzero(bins == part)) for part in range(size)]
        for place, bins, size in zip(term.features, term.bins, term.table.shape, strict=True)
    ]
    return [" and ".join(texts) for texts in product(*axes)]


def _category(feature: Feature, place: int) -> str:
    if place > len(feature.categories):
        return NEVER_SEEN
    category = feature.categories[place - 1]
    return feature.labels.get(category, category)


def _span(feature: Feature, low: float, high: float) -> str:
    """The values from `low` up to but not including `high`."""
    if low == -inf and high == inf:
        return "any"
    if feature.kind is Kind.YES_NO:
        return "yes" if high == inf else "no"
    if feature.kind is Kind.WHOLE:
        return _whole_span(feature, low, high)
    scale = 100.0 if feature.unit in IN_PERCENT else 1.0
    return _number_span(scale * low, scale * high, _unit(feature))


def _whole_span(feature: Feature, low: float, high: float) -> str:
    first, last = float(np.ceil(low)), float(np.ceil(high)) - 1.0
    if low == -inf and feature.minimum is not None:
        first = feature.minimum
    unit = _unit(feature)
    if first == last:
        return feature.labels.get(_short(first), f"{_short(first)}{unit.removesuffix('s') if first == 1 else unit}")
    return _number_span(first, last, unit, below="at most")


def _number_span(low: float, high: float, unit: str, *, below: str = "under") -> str:
    if low == -inf:
        return f"{below} {_short(high)}{unit}"
    return f"{_short(low)}{unit} or more" if high == inf else f"{_short(low)} to {_short(high)}{unit}"


def _unit(feature: Feature) -> str:
    """What follows the number; nothing where the title says it already."""
    if feature.unit in IN_PERCENT:
        return " %"
    unit = feature.unit.removesuffix(" a month") if "month" in feature.title else feature.unit
    return f" {unit}" if unit and unit not in feature.title else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _encoded(
    places: npt.NDArray[np.integer], nobody: npt.NDArray[np.bool_], texts: Sequence[str]
) -> pa.DictionaryArray:
    """The texts at these places; only those that occur are carried along, since Parquet writes all that are."""
    used = np.flatnonzero(np.bincount(places[~nobody], minlength=len(texts)))
    codes = np.zeros(len(texts), np.int32)
    codes[used] = np.arange(len(used))
    occurring = pa.array([texts[place] for place in used.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes[places], mask=nobody), occurring)
