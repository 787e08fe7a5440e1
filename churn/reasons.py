"""The reasons of a score: which feature, what the customer has there in words, and how much it adds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import inf, isnan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.lookup import NO_CELL, Cells
from churn.scorecard import Feature, Floats, Ints, Kind, Scorecard, Term

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


def input_reasons(inputs: Sequence[Feature], values: Floats, addends: Floats, places: Ints) -> Reasons:
    """The names, words and log-odds of the inputs at these places [n]; a text is made per value, never per customer.

    `values` is what the customers have [n, inputs], as `estimators.inputs_of` reads it, and `addends` what each input
    adds to their log-odds [inputs, n].
    """
    nobody = places == NO_CELL
    there = np.where(nobody, 0, places)
    return Reasons(
        feature=_encoded(there, nobody, [feature.name for feature in inputs]),
        value=_encoded_values(inputs, values, places),
        log_odds=pa.array(addends[there, np.arange(len(there))], mask=nobody),
    )


def no_reasons(customers: int) -> Reasons:
    """One place among the reasons where nobody has any."""
    nothing = pa.nulls(customers, pa.dictionary(pa.int32(), pa.string()))
    return Reasons(nothing, nothing, pa.nulls(customers, pa.float64()))


def strongest(addends: Floats, most: int) -> Ints:
    """The inputs that add most to each customer's log-odds, the first of equals first, and only those that add at all.

    From [inputs, n] to [most, n]; NO_CELL stands where a customer has no further one.
    """
    places = np.full((most, addends.shape[1]), NO_CELL)
    ranked = np.argsort(-addends, axis=0, kind="stable")[:most]
    places[: len(ranked)] = np.where(np.take_along_axis(addends, ranked, axis=0) > 0.0, ranked, NO_CELL)
    return places


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


def value_words(feature: Feature, value: float) -> str:
    """What a customer has whose value it is, such as "tenure: 11 months"; NaN is missing, a category is its place."""
    return f"{feature.title}: {_value(feature, value)}"


def _term_words(term: Term, features: Sequence[Feature]) -> list[str]:
    axes = [
        [bin_words(features[place], np.flatnonzero(bins == part)) for part in range(size)]
        for place, bins, size in zip(term.features, term.bins, term.table.shape, strict=True)
    ]
    return [" and ".join(texts) for texts in product(*axes)]


def _value(feature: Feature, value: float) -> str:
    if isnan(value):
        return MISSING
    if feature.kind is Kind.CATEGORY:
        return _category(feature, int(value))
    if feature.kind is Kind.YES_NO:
        return "yes" if value else "no"
    if feature.kind is Kind.WHOLE:
        return _whole(feature, value)
    return f"{_short(_scale(feature) * value)}{_unit(feature)}"


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
    return _number_span(_scale(feature) * low, _scale(feature) * high, _unit(feature))


def _whole_span(feature: Feature, low: float, high: float) -> str:
    first, last = float(np.ceil(low)), float(np.ceil(high)) - 1.0
    if low == -inf and feature.minimum is not None:
        first = feature.minimum
    if first == last:
        return _whole(feature, first)
    return _number_span(first, last, _unit(feature), below="at most")


def _whole(feature: Feature, value: float) -> str:
    unit = _unit(feature).removesuffix("s") if value == 1 else _unit(feature)
    return feature.labels.get(_short(value), f"{_short(value)}{unit}")


def _number_span(low: float, high: float, unit: str, *, below: str = "under") -> str:
    if low == -inf:
        return f"{below} {_short(high)}{unit}"
    return f"{_short(low)}{unit} or more" if high == inf else f"{_short(low)} to {_short(high)}{unit}"


def _scale(feature: Feature) -> float:
    return 100.0 if feature.unit in IN_PERCENT else 1.0


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


def _encoded_values(inputs: Sequence[Feature], values: Floats, places: Ints) -> pa.DictionaryArray:
    texts: list[str] = []
    codes = np.zeros(len(places), np.int64)
    for place, feature in enumerate(inputs):
        theirs = np.flatnonzero(places == place)
        distinct, which = np.unique(values[theirs, place], return_inverse=True)
        codes[theirs] = len(texts) + which
        texts += [value_words(feature, value) for value in distinct.tolist()]
    # Encoded last, since values that differ beyond the fourth digit are said in the same words.
    return pa.array(texts, pa.string()).take(pa.array(codes, mask=places == NO_CELL)).dictionary_encode()
