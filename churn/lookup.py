"""Looking customers up in a scorecard: millions through the compiled kernel, one in plain Python, to the same bit."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from math import inf, isfinite
from operator import getitem, itemgetter
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
    bins = _bins(steps, row)
    bins_of_terms = steps.bins_of_terms(bins)
    addends = list(map(getitem, steps.tables, bins_of_terms))
    log_odds = card.intercept
    for addend in addends:  # not sum(), which compensates for rounding where the kernel does not
        log_odds += addend
    in_order = sorted(addends)
    rising = [addend for addend in in_order[: -REASONS_UP - 1 : -1] if addend > 0.0]
    falling = [addend for addend in in_order[:REASONS_DOWN] if addend < 0.0]
    return ScoredOne(
        log_odds,
        raising=tuple([steps.cells[term][bins_of_terms[term]] for term in _terms_with(rising, addends)]),
        lowering=tuple([steps.cells[term][bins_of_terms[term]] for term in _terms_with(falling, addends)]),
    )


def _bins(steps: _Steps, row: Mapping[str, Any]) -> list[int]:
    """The customer's bin of each number, of each category and of each pair."""
    bins = _bins_of_numbers(steps.cuts, steps.numbers_of(row))
    bins += [
        known.get(value, unseen) if (value := row[name]) == value else 0  # NaN is missing, and equals nothing
        for name, known, unseen in steps.categories
    ]
    bins += [first[bins[one]] + second[bins[two]] for first, one, second, two in steps.pairs]
    return bins


def _bins_of_numbers(cuts: Sequence[array[float]], values: tuple[Any, ...]) -> list[int]:
    if _all_told(values):
        return list(map(bisect_right, cuts, values))
    return [
        0 if value is None or value != value else bisect_right(of_feature, value)
        for value, of_feature in zip(values, cuts, strict=True)
    ]


def _all_told(values: tuple[Any, ...]) -> bool:
    """Whether none is missing, at the price of one sum; False also where it is too large to tell."""
    try:
        return isfinite(sum(values))
    except (TypeError, OverflowError):  # of None, and of a whole number beyond all others
        return False


def _terms_with(strongest: Sequence[float], addends: Sequence[float]) -> list[int]:
    """Which terms add these; where some add the same, the first of them comes first, as in the kernel."""
    terms: list[int] = []
    for addend in strongest:
        again = terms and addends[terms[-1]] == addend
        terms.append(addends.index(addend, terms[-1] + 1 if again else 0))
    return terms


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


# What each bin of one feature comes to, and the feature's place; the same of the other. The sum is a cell, and serves
# as the pair's bin. A plain tuple, since one of a class of its own takes twice as long to take apart.
_Pair: TypeAlias = "tuple[array[int], int, array[int], int]"


class _Steps(NamedTuple):
    """What is done with a customer, whose bins are those of the numbers, then of the categories, then of the pairs."""

    numbers_of: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    cuts: list[array[float]]  # where the bins of each number begin; that of missing values has none
    categories: list[tuple[str, dict[str | None, int], int]]  # name, bins, and that of what was never seen
    pairs: list[_Pair]
    bins_of_terms: Callable[[list[int]], tuple[int, ...]]
    tables: list[array[float]]  # what each term adds by its bin
    cells: list[Sequence[int]]  # and which cell of the card that is


@lru_cache(maxsize=32)
def _steps(card: Scorecard) -> _Steps:
    """The card in Python's own arrays: one value of them is quicker to look up than one of NumPy's.

    Lists would be as quick only while nothing else runs: their numbers lie scattered, far from the processor.
    """
    numbers = [feature for feature in card.features if feature.kind is not Kind.CATEGORY]
    categories = [feature for feature in card.features if feature.kind is Kind.CATEGORY]
    in_order = [*numbers, *categories]
    place_of = [in_order.index(feature) for feature in card.features]
    places_of_pairs = count(len(in_order))
    places = [place_of[term.features[0]] if len(term.features) == 1 else next(places_of_pairs) for term in card.terms]
    tables, cells = zip(*_tables(card), strict=True) if card.terms else ((), ())
    return _Steps(
        numbers_of=_values_of([feature.name for feature in numbers]),
        cuts=[array("d", (-inf, *feature.cuts.tolist())) for feature in numbers],
        categories=[(feature.name, _bins_of(feature), feature.bins - 1) for feature in categories],
        pairs=[_pair(term, begin, place_of) for term, begin in _begun(card) if len(term.features) > 1],
        bins_of_terms=_values_of(places),
        tables=list(tables),
        cells=list(cells),
    )


def _begun(card: Scorecard) -> Iterable[tuple[Term, int]]:
    """Each term and its first cell."""
    return zip(card.terms, card.first_cells.tolist(), strict=False)


def _pair(term: Term, begin: int, place_of: Sequence[int]) -> _Pair:
    first, second = term.parts(begin)
    return array("q", first), place_of[term.features[0]], array("q", second), place_of[term.features[1]]


def _tables(card: Scorecard) -> Iterator[tuple[array[float], Sequence[int]]]:
    """What each term adds by its bin, and the cell that the bin comes to; the bin of a pair is the cell."""
    everything = card.cells
    of_pairs = array("d", everything), range(len(everything))
    for term, begin in _begun(card):
        cells = array("q", term.parts(begin)[0])
        yield of_pairs if len(term.features) > 1 else (array("d", everything[cells]), cells)


def _values_of(names: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads these of a row, or of a list."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)  # of one name an itemgetter gives no tuple, of none nothing


def _bins_of(feature: Feature) -> dict[str | None, int]:
    bins: dict[str | None, int] = {category: place for place, category in enumerate(feature.categories, start=1)}
    return bins | {None: 0}
