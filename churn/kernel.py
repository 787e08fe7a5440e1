"""The compiled loops over customers: bin a column, then look up, sum, and keep the strongest reasons."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from churn.lookup import NO_CELL, Cells
from churn.scorecard import Feature, Floats, Ints, Scorecard

# Customers worked on at once: what is known of them so far stays in a core's first cache beside one term's table.
BLOCK = 1_024

# Slots of equal width between a feature's lowest and highest edge. With so many, few hold more than three edges.
SLOTS = 2_048

Bins = npt.NDArray[np.uint32]
Ranks = npt.NDArray[np.int32]


class Grid(NamedTuple):
    """A feature's edges, and slots that tell where among them to search for a value."""

    lowest: float
    slots_per_unit: float
    edges_before: Bins  # [SLOTS], how many edges lie in earlier slots
    step: int  # the search's first: the largest power of two that is no more than the edges in the fullest slot
    edges: Floats  # padded with NaN, which compares as above every value, so the search may overshoot


class Tables(NamedTuple):
    """The terms' tables laid end to end, and which cell of them a customer's bins lead to."""

    intercept: float
    features: Ints  # [terms, 2], the second is -1 where the term has one feature
    first_map: Ints  # [terms, 2]
    maps: Bins  # the parts of a cell that a bin of either feature adds; the first adds the table's begin too
    cells: Floats  # [cells], log-odds
    ranks: Ranks  # [cells], see `_ranked`
    ranked: Cells  # [cells + 1], the cell of each rank


class Standing(NamedTuple):
    """What is known of a block's customers while the terms go by."""

    cells: Bins  # [BLOCK], each one's cell of this term
    ranks: Ranks  # [BLOCK], and its rank
    highest: Ranks  # [REASONS_UP, BLOCK], of the terms so far
    lowest: Ranks  # [REASONS_DOWN, BLOCK]


class Layout(NamedTuple):
    """A card as the two kernels read it."""

    grids: tuple[Grid, ...]
    tables: Tables


@lru_cache(maxsize=32)
def layout(card: Scorecard) -> Layout:
    """The card laid out for `bin_numbers` and `sum_terms`."""
    return Layout(tuple(_grid(feature) for feature in card.features), _tables(card))


@numba.njit(nogil=True, cache=True)
def bin_numbers(numbers, grid, bins):  # type: ignore[no-untyped-def]
    """Writes the bin of each number into `bins`, which may be longer: 0 for NaN, else 1 + how many edges it reaches."""
    for first in range(0, len(numbers), BLOCK):
        last = min(first + BLOCK, len(numbers))
        _bin(numbers[first:last], grid, bins[first:last])


@numba.njit(nogil=True, cache=True)
def sum_terms(start, until, bins, tables, scored):  # type: ignore[no-untyped-def]
    """Scores the customers from `start` on and before `until` into the three arrays of `scored`, made for all of them.

    `bins` is [features, until - start or more]. The terms are summed in their order, so that no split of the customers
    changes a bit. Whole arrays come in rather than slices of them: those would be other types to the compiler, each
    with seconds of compiling.
    """
    standing = Standing(
        cells=np.zeros(BLOCK, np.uint32),
        ranks=np.zeros(BLOCK, np.int32),
        highest=np.zeros((len(scored.raising), BLOCK), np.int32),
        lowest=np.zeros((len(scored.lowering), BLOCK), np.int32),
    )
    for first in range(start, until, BLOCK):
        last = min(first + BLOCK, until)
        _sum(bins[:, first - start : last - start], tables, standing, scored.log_odds[first:last])
        _name(standing.highest, tables.ranked, scored.raising[:, first:last])
        _name(standing.lowest, tables.ranked, scored.lowering[:, first:last])


@numba.njit(nogil=True, cache=True)
def _bin(numbers, grid, below):  # type: ignore[no-untyped-def]
    # The slot leaves a few edges to search among. All customers take a step of that search before any takes the next,
    # and no step branches: the look-ups of different customers then overlap.
    _edges_before(numbers, grid, below)
    step = np.uint32(grid.step)
    while step > 0:
        reached = grid.edges[step - 1 :]
        for row in range(len(numbers)):
            below[row] += step * (reached[below[row]] <= numbers[row])
        step >>= np.uint32(1)
    for row in range(len(numbers)):
        below[row] = (below[row] + 1) * (numbers[row] == numbers[row])


@numba.njit(nogil=True, cache=True)
def _edges_before(numbers, grid, below):  # type: ignore[no-untyped-def]
    for row in range(len(numbers)):
        below[row] = grid.edges_before[_slot(numbers[row], grid.lowest, grid.slots_per_unit)]


@numba.njit(nogil=True, cache=True, inline="always")
def _slot(number, lowest, slots_per_unit):  # type: ignore[no-untyped-def]
    # Rounding keeps the order of numbers, and edges are put into slots by this same function: so an edge in an earlier
    # slot is below the number and one in a later slot above it, however coarse the arithmetic. NaN ends in slot 0.
    place = (number - lowest) * slots_per_unit
    place = place if place > 0.0 else 0.0
    return np.uint32(np.int32(place if place < SLOTS - 1.0 else SLOTS - 1.0))


@numba.njit(nogil=True, cache=True)
def _sum(bins, tables, standing, log_odds):  # type: ignore[no-untyped-def]
    log_odds[:] = tables.intercept
    standing.highest[:] = 0
    standing.lowest[:] = 0
    for term in range(len(tables.features)):
        _find(term, bins, tables, standing.cells)
        for row in range(len(log_odds)):
            log_odds[row] += tables.cells[standing.cells[row]]
            standing.ranks[row] = tables.ranks[standing.cells[row]]
        _keep(standing.ranks, standing.highest, standing.lowest)


@numba.njit(nogil=True, cache=True)
def _find(term, bins, tables, cells):  # type: ignore[no-untyped-def]
    one, two = tables.features[term]
    first, second = tables.maps[tables.first_map[term, 0] :], tables.maps[tables.first_map[term, 1] :]
    for row in range(bins.shape[1]):
        cells[row] = first[bins[one, row]]
    if two >= 0:
        for row in range(bins.shape[1]):
            cells[row] += second[bins[two, row]]


@numba.njit(nogil=True, cache=True)
def _keep(ranks, highest, lowest):  # type: ignore[no-untyped-def]
    # Each place keeps the better of its own rank and the newcomer's and hands the other one down: integers that are
    # compared without a branch, sixteen customers at once where the processor has registers for it. What the lowest
    # hand down is never above 0, so the highest need not mind it.
    for place in range(len(lowest)):
        kept = lowest[place]
        for row in range(len(ranks)):
            kept[row], ranks[row] = min(kept[row], ranks[row]), max(kept[row], ranks[row])
    for place in range(len(highest)):
        kept = highest[place]
        for row in range(len(ranks)):
            kept[row], ranks[row] = max(kept[row], ranks[row]), min(kept[row], ranks[row])


@numba.njit(nogil=True, cache=True)
def _name(ranks, ranked, cells):  # type: ignore[no-untyped-def]
    for place in range(cells.shape[0]):
        for row in range(cells.shape[1]):
            cells[place, row] = ranked[abs(ranks[place, row])]


def _grid(feature: Feature) -> Grid:
    edges = feature.edges
    lowest, highest = (float(edges[0]), float(edges[-1])) if len(edges) else (0.0, 0.0)
    slots_per_unit = (SLOTS - 1) / (highest - lowest) if highest > lowest else 0.0
    slots = np.array([_slot(edge, lowest, slots_per_unit) for edge in edges], dtype=np.int64)
    fullest = int(np.bincount(slots, minlength=1).max())
    step = 1 << fullest.bit_length() >> 1
    return Grid(
        lowest=lowest,
        slots_per_unit=slots_per_unit,
        edges_before=np.searchsorted(slots, np.arange(SLOTS)).astype(np.uint32),
        step=step,
        edges=np.concatenate([edges, np.full(2 * step, np.nan)]),
    )


def _tables(card: Scorecard) -> Tables:
    maps = [part for term, begin in zip(card.terms, card.first_cells, strict=False) for part in term.parts(begin)]
    ranks, ranked = _ranked(card)
    return Tables(
        intercept=card.intercept,
        features=np.array([(*term.features, -1)[:2] for term in card.terms], dtype=np.int64).reshape(-1, 2),
        first_map=_begins(maps).reshape(-1, 2),
        maps=np.concatenate([np.empty(0), *maps]).astype(np.uint32),
        cells=card.cells,
        ranks=ranks,
        ranked=ranked,
    )


def _ranked(card: Scorecard) -> tuple[Ranks, Cells]:
    """The rank of each cell and the cell of each rank, counted from the weakest, with the sign of the log-odds.

    All cells that a customer can have are ranked once, so that finding his strongest is comparing integers. Of equals
    the earlier term ranks as stronger, both ways. A cell of log-odds 0 is no reason and has rank 0, as NO_CELL has.
    """
    addends = card.cells
    terms = np.repeat(np.arange(len(card.terms)), np.diff(card.first_cells))
    weakest_first = np.lexsort((-terms, np.abs(addends)))
    ranks = np.empty(len(addends), np.int32)
    ranks[weakest_first] = np.arange(1, len(addends) + 1)
    return np.sign(addends).astype(np.int32) * ranks, np.array([NO_CELL, *weakest_first], dtype=np.int32)


def _begins(arrays: list[Ints]) -> Ints:
    return np.cumsum([0, *map(len, arrays)], dtype=np.int64)[:-1]
