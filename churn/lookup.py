"""Looking customers up in a scorecard: millions through the compiled kernel, one in plain Python, to the same bit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.scorecard import Feature, Floats, Kind, Scorecard, one_array
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
        0 if (value := row[name]) is None or value != value else bisect_right(cuts, value) + 1
        for name, cuts in steps.numbers
    ]
    bins += [
        known.get(value, unseen) if (value := row[name]) == value else 0  # NaN is missing, and equals nothing
        for name, known, unseen in steps.categories
    ]
    cells = [first[bins[one]] + second[bins[two]] for one, first, two, second in steps.terms]
    addends = [steps.cells[cell] for cell in cells]
    log_odds = card.intercept
    for addend in addends:  # not sum(), which compensates for rounding where the kernel does not
        log_odds += addend
    rising = sorted(range(len(cells)), key=addends.__getitem__, reverse=True)[:REASONS_UP]
    falling = nsmallest(REASONS_DOWN, range(len(cells)), key=addends.__getitem__)  # for one it need not sort
    return ScoredOne(
        log_odds,
        raising=tuple(cells[term] for term in rising if addends[term] > 0.0),
        lowering=tuple(cells[term] for term in falling if addends[term] < 0.0),
    )


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


class _Steps(NamedTuple):
    """Numbers come before categories, and terms name features by their places in that order."""

    numbers: list[tuple[str, list[float]]]  # name, and where its bins begin
    categories: list[tuple[str, dict[str | None, int], int]]  # name, bins, and that of what was never seen
    terms: list[tuple[int, list[int], int, list[int]]]
    cells: list[float]


@lru_cache(maxsize=32)
def _steps(card: Scorecard) -> _Steps:
    """The card as Python's own lists, which are quicker to look one value up in than arrays are."""
    order = sorted(range(len(card.features)), key=lambda place: card.features[place].kind is Kind.CATEGORY)
    place_of = {feature: place for place, feature in enumerate(order)}
    terms = []
    for term, begin in zip(card.terms, card.first_cells, strict=False):
        first, second = (part.tolist() for part in term.parts(int(begin)))
        if len(term.features) == 1:
            second = [0] * len(first)
        terms.append((place_of[term.features[0]], first, place_of[term.features[-1]], second))
    features = [card.features[place] for place in order]
    numbers = [(one.name, one.cuts.tolist()) for one in features if one.kind is not Kind.CATEGORY]
    categories = [(one.name, _bins_of(one), one.bins - 1) for one in features if one.kind is Kind.CATEGORY]
    return _Steps(numbers, categories, terms, card.cells.tolist())


def _bins_of(feature: Feature) -> dict[str | None, int]:
    bins: dict[str | None, int] = {category: place for place, category in enumerate(feature.categories, start=1)}
    return bins | {None: 0}
