"""The compiled loop over customers: bin, look up, sum, and keep the strongest reasons."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from churn.scorecard import Floats, Ints, Scorecard

# Customers whose bins are held at once: those of forty features fill a third of a core's own cache.
BLOCK = 512


class Layout(NamedTuple):
    """A card as arrays laid end to end, and where each feature's or term's part begins."""

    intercept: float
    edges: Floats  # each feature's edges, padded with NaN to one less than a power of two
    first_edge: Ints  # [features]
    first_step: Ints  # [features], half that power: where the search among the edges starts
    features: Ints  # [terms, 2], the second is -1 where the term has one feature
    first_map: Ints  # [terms, 2]
    maps: Ints  # the parts of a cell that a bin of either axis adds; the first axis adds the table's begin too
    cells: Floats


@lru_cache(maxsize=32)
def layout(card: Scorecard) -> Layout:
    """The card laid out for `score_rows_between`."""
    padded = [_padded(feature.edges) for feature in card.features]
    maps = [part for term, begin in zip(card.terms, card.first_cells, strict=False) for part in term.parts(begin)]
    return Layout(
        intercept=card.intercept,
        edges=np.concatenate([np.empty(0), *padded]),
        first_edge=_begins(padded),
        first_step=np.array([(len(edges) + 1) // 2 for edges in padded], dtype=np.int64),
        features=np.array([(*term.features, -1)[:2] for term in card.terms], dtype=np.int64).reshape(-1, 2),
        first_map=_begins(maps).reshape(-1, 2),
        maps=np.concatenate([np.empty(0, np.int64), *maps]),
        cells=card.cells,
    )


@numba.njit(nogil=True, cache=True)
def score_rows_between(start, until, values, layout, scored):  # type: ignore[no-untyped-def]
    """Scores the customers from `start` on and before `until` into the three arrays of `scored`, made for all of them.

    `values` is float64 [features, until - start or more] and NaN where missing; the reasons in `scored` stand at
    NO_CELL. The terms are summed in their order, so that no split of the customers changes a bit. Whole arrays come in
    rather than slices of them: those would be other types to the compiler, each with seconds of compiling.
    """
    bins = np.empty((values.shape[0], BLOCK), np.int64)
    for first in range(start, until, BLOCK):
        last = min(first + BLOCK, until)
        _bin(values[:, first - start : last - start], layout, bins)
        _sum(bins, layout, scored.log_odds[first:last], scored.raising[:, first:last], scored.lowering[:, first:last])


@numba.njit(nogil=True, cache=True)
def _bin(values, layout, bins):  # type: ignore[no-untyped-def]
    # All customers take a step of the search before any takes the next, and no step branches: the look-ups of
    # different customers then overlap, which is eight times as fast as finishing one customer after the other.
    for feature in range(values.shape[0]):
        edges = layout.edges[layout.first_edge[feature] :]
        numbers, below = values[feature], bins[feature]
        below[:] = 0
        step = layout.first_step[feature]
        while step > 0:
            for row in range(numbers.shape[0]):
                # An unsigned index spares the test for one that counts from the end.
                below[row] += step * (edges[np.uint64(below[row] + step - 1)] <= numbers[row])
            step >>= 1
        for row in range(numbers.shape[0]):
            below[row] = (below[row] + 1) * (numbers[row] == numbers[row])


@numba.njit(nogil=True, cache=True)
def _sum(bins, layout, log_odds, raising, lowering):  # type: ignore[no-untyped-def]
    rows = log_odds.shape[0]
    most = np.zeros(raising.shape)
    least = np.zeros(lowering.shape)
    log_odds[:] = layout.intercept
    for term in range(layout.features.shape[0]):
        one, two = layout.features[term]
        first, second = layout.first_map[term]
        for row in range(rows):
            cell = layout.maps[first + bins[one, row]]
            if two >= 0:
                cell += layout.maps[second + bins[two, row]]
            addend = layout.cells[cell]
            log_odds[row] += addend
            _keep(row, addend, cell, most, raising)
            _keep(row, -addend, cell, least, lowering)


@numba.njit(nogil=True, cache=True, inline="always")
def _keep(row, strength, cell, strengths, cells):  # type: ignore[no-untyped-def]
    """Puts the cell in its place among the row's strongest so far; of equals the earlier term stays ahead."""
    place = strengths.shape[0] - 1
    if strength <= strengths[place, row]:
        return
    while place > 0 and strength > strengths[place - 1, row]:
        strengths[place, row] = strengths[place - 1, row]
        cells[place, row] = cells[place - 1, row]
        place -= 1
    strengths[place, row] = strength
    cells[place, row] = cell


def _padded(edges: Floats) -> Floats:
    """NaN compares as above every value, so the search never goes past the true edges."""
    return np.concatenate([edges, np.full((1 << len(edges).bit_length()) - 1 - len(edges), np.nan)])


def _begins(arrays: list[Floats] | list[Ints]) -> Ints:
    return np.cumsum([0, *map(len, arrays)], dtype=np.int64)[:-1]
