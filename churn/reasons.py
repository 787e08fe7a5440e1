"""What a customer has where a reason applies, in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.lookup import NO_CELL, Cells
from churn.scorecard import Feature, Ints, Kind, Scorecard, Term

NEVER_SEEN = "one never seen before"


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
    """What a customer has who falls into one of these neighbouring bins, such as "tenure 11 to 13 months"."""
    if bins[0] == 0:
        return f"{feature.title} unknown"
    if feature.kind is Kind.CATEGORY:
        return f"{feature.title}: {' or '.join(_category(feature, place) for place in bins)}"
    edges = [None, *feature.cuts.tolist(), None]
    return _titled(feature, _span(feature, edges[bins[0] - 1], edges[bins[-1]]))


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


def _titled(feature: Feature, span: str) -> str:
    unit = {"share": "", "ratio": ""}.get(feature.unit, feature.unit)
    if not unit or unit in feature.title or span in feature.labels.values():
        return f"{feature.title}: {span}"
    return f"{feature.title} {span} {unit.removesuffix('s') if span == '1' else unit}"


def _span(feature: Feature, low: float | None, high: float | None) -> str:
    """The values from `low` up to but not including `high`; None is no limit."""
    if feature.kind is Kind.YES_NO:
        return "any" if low is high else "yes" if high is None else "no"
    if feature.kind is Kind.WHOLE:
        return _whole_span(feature, low, high)
    shown = _percent if feature.unit == "share" else _short
    if low is None:
        return "any" if high is None else f"under {shown(high)}"
    return f"{shown(low)} or more" if high is None else f"{shown(low)} to {shown(high)}"


def _whole_span(feature: Feature, low: float | None, high: float | None) -> str:
    first = feature.minimum if low is None else ceil(low)
    last = None if high is None else ceil(high) - 1
    if first is None:
        return "any" if last is None else f"at most {last:,.0f}"
    if last is None:
        return f"{first:,.0f} or more"
    one = f"{first:,.0f}"
    return feature.labels.get(one, one) if first == last else f"{one} to {last:,.0f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _encoded(
    places: npt.NDArray[np.integer], nobody: npt.NDArray[np.bool_], texts: Sequence[str]
) -> pa.DictionaryArray:
    """The texts at these places; only those that occur are carried along, since Parquet writes all that are."""
    used = np.flatnonzero(np.bincount(places[~nobody], minlength=len(texts)))
    codes = np.zeros(len(texts), np.int32)
    codes[used] = np.arange(len(used))
    occurring = pa.array([texts[place] for place in used.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes[places], mask=nobody), occurring)
