"""Looking customers up in a scorecard: millions through the compiled kernel, one in plain Python, to the same bit."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.scorecard import Feature, Floats, Kind, Scorecard, Term, one_array
from schemas.scores import REASONS_DOWN, REASONS_UP

if TYPE_CHECKING:
    from churn.kernel import Bins, Grid

NO_CELL = -1  # stands where a customer has no further reason

# Rows binned before they are summed: the bins of forty features stay in the processor's cache.
SLICE_ROWS = 16_384

Cells = npt.NDArray[np.int32]


class Scored(NamedTuple):
    """Scores of n customers; a reason is a cell of the card, or NO_CELL where there is none."""

    log_odds: Floats  # [n]
    raising: Cells  # [REASONS_UP, n], the strongest first
    lowering: Cells  # [REASONS_DOWN, n], the strongest first


class ScoredOne(NamedTuple):
    """One customer's score; the reasons are cells, the strongest first, as many as there are."""

    log_odds: float
    raising: tuple[int, ...]
    lowering: tuple[int, ...]


def score(card: Scorecard, rows: pa.Table) -> Scored:
    """The log-odds and the strongest reasons of each row; `rows` has a column for every feature of the card.

    It runs on the calling thread and lets others run meanwhile: a night scores its buckets side by side, and
    threads within a bucket would only get in their way.
    """
    from churn.kernel import layout, sum_terms  # to import numba takes longer than the API may take to start

    grids, tables = layout(card)
    scored = _room_for(rows.num_rows)
    bins = np.empty((len(card.features), min(rows.num_rows, SLICE_ROWS)), np.uint32)
    for start in range(0, rows.num_rows, SLICE_ROWS):
        until = min(start + SLICE_ROWS, rows.num_rows)
        part = rows.slice(start, SLICE_ROWS)
        for feature, grid, of_feature in zip(card.features, grids, bins, strict=True):
            _bin(feature, one_array(part, feature.name), grid, of_feature)
        sum_terms(start, until, bins, tables, scored)
    return scored


def score_one(card: Scorecard, row: Mapping[str, Any]) -> ScoredOne:
    """The same for one customer, None and NaN being missing values.

    It needs neither compiled code nor a table, so the first answer of a process is as quick as the next.
    """
    steps = _steps(card)
    bins = [
        0 if value is None or value != value else bisect_right(cuts, value)
        for value, cuts in zip(steps.numbers_of(row), steps.cuts, strict=True)
    ]
    bins += [
        known.get(value, unseen) if (value := row[name]) == value else 0  # NaN is missing, and equals nothing
        for name, known, unseen in steps.categories
    ]
    addends = [
        adds[bins[one]] if second is None else adds[first[bins[one]] + second[bins[two]]]
        for adds, one, first, two, second in steps.terms
    ]
    log_odds = card.intercept
    for addend in addends:  # not sum(), which compensates for rounding where the kernel does not
        log_odds += addend
    in_order = sorted(addends)
    rising = [addend for addend in in_order[: -REASONS_UP - 1 : -1] if addend > 0.0]
    falling = [addend for addend in in_order[:REASONS_DOWN] if addend < 0.0]
    return ScoredOne(
        log_odds,
        raising=tuple([_cell(steps.terms[term], bins) for term in _terms_with(rising, addends)]),
        lowering=tuple([_cell(steps.terms[term], bins) for term in _terms_with(falling, addends)]),
    )


def _terms_with(strongest: Sequence[float], addends: Sequence[float]) -> list[int]:
    """Which terms add these; where some add the same, the first of them comes first, as in the kernel."""
    terms: list[int] = []
    for addend in strongest:
        again = terms and addends[terms[-1]] == addend
        terms.append(addends.index(addend, terms[-1] + 1 if again else 0))
    return terms


def _cell(term: _Addends, bins: Sequence[int]) -> int:
    """The cell that a customer of these bins has."""
    _, one, first, two, second = term
    return first[bins[one]] + (second[bins[two]] if second else 0)


def _room_for(rows: int) -> Scored:
    return Scored(
        log_odds=np.empty(rows),
        raising=np.empty((REASONS_UP, rows), np.int32),
        lowering=np.empty((REASONS_DOWN, rows), np.int32),
    )


def _bin(feature: Feature, column: pa.Array, grid: Grid, bins: Bins) -> None:
    from churn.kernel import bin_numbers

    numbers = feature.numbers(column)
    numbers.flags.writeable = False  # as Arrow's own are: to the compiler any others are one more type
    bin_numbers(numbers, grid, bins)


# A term: what it adds by the bin of its one feature, or by the sum of what the bins of both come to; the places of both
# features; and what their bins come to, which is a cell, and nothing of a second where there is but one. A plain tuple,
# since tuples of a class of their own take twice as long to take apart.
_Addends: TypeAlias = "tuple[array[float], int, array[int], int, array[int] | None]"


class _Steps(NamedTuple):
    """Numbers come before categories, and terms name features by their places in that order."""

    numbers_of: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    cuts: list[array[float]]  # where the bins of each number begin; that of missing values has none
    categories: list[tuple[str, dict[str | None, int], int]]  # name, bins, and that of what was never seen
    terms: list[_Addends]


@lru_cache(maxsize=32)
def _steps(card: Scorecard) -> _Steps:
    """The card in Python's own arrays: one value of them is quicker to look up than one of NumPy's.

    Lists would be as quick only while nothing else runs: their numbers lie scattered, far from the processor.
    """
    features = sorted(card.features, key=lambda feature: feature.kind is Kind.CATEGORY)
    numbers = [feature for feature in features if feature.kind is not Kind.CATEGORY]
    categories = features[len(numbers) :]
    place_of = [features.index(feature) for feature in card.features]
    cells = array("d", card.cells)
    return _Steps(
        numbers_of=_values_of([feature.name for feature in numbers]),
        cuts=[array("d", (-inf, *feature.cuts.tolist())) for feature in numbers],
        categories=[(feature.name, _bins_of(feature), feature.bins - 1) for feature in categories],
        terms=[
            _addends(term, int(begin), cells, place_of)
            for term, begin in zip(card.terms, card.first_cells, strict=False)
        ],
    )


def _values_of(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What reads these columns of a row."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)  # of one name an itemgetter gives no tuple, of none nothing


def _addends(term: Term, begin: int, cells: array[float], place_of: Sequence[int]) -> _Addends:
    first, second = (array("q", part) for part in term.parts(begin))
    one, two = place_of[term.features[0]], place_of[term.features[-1]]
    if len(term.features) == 1:
        return array("d", [cells[cell] for cell in first]), one, first, two, None
    return cells, one, first, two, second


def _bins_of(feature: Feature) -> dict[str | None, int]:
    bins: dict[str | None, int] = {category: place for place, category in enumerate(feature.categories, start=1)}
    return bins | {None: 0}
