"""Where a feature is cut into bins: at round numbers, which a reason can say as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from churn.scorecard import Floats, Ints

# What round numbers are multiples of, the roundest first.
STEPS = tuple(float(f"{digit}e{power}") for power in range(6, -7, -1) for digit in (5, 2, 1))


def round_cuts(values: Floats, bins: int, *, whole: bool = False) -> Floats:
    """About as many ascending cuts as make `bins` bins of equally many of the values; NaN is none of them.

    A cut belongs to the bin above it. Of `whole` numbers, one that makes a bin has it for itself alone.
    """
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    groups = _groups(distinct, counts, bins)
    low, high = groups.middle[:-1], groups.middle[1:]
    if whole:
        high = np.where(groups.single[:-1], low + 1.0, high)
        low = np.where(groups.single[1:], high - 1.0, low)
    return np.unique(_roundest(low, high))


class _Groups(NamedTuple):
    """Neighbouring values: the one that the middle row of each group has, and whether the group has no other."""

    middle: Floats
    single: np.ndarray


def _groups(distinct: Floats, counts: Ints, bins: int) -> _Groups:
    if len(distinct) <= bins:
        return _Groups(distinct, np.ones(len(distinct), np.bool_))
    # A value that very many have, such as 0, is a bin however many they are, and leaves the other bins to the rest.
    heavy = counts > counts.sum() / bins
    rows = np.where(heavy, 0, counts)
    middle_rows = np.cumsum(rows) - rows / 2.0
    group = ((bins - heavy.sum()) * middle_rows / max(rows.sum(), 1)).astype(np.int64)
    first = np.flatnonzero((np.diff(group, prepend=-1) > 0) | heavy | np.append(False, heavy[:-1]))
    last = np.append(first[1:], len(group)) - 1
    middle = np.searchsorted(middle_rows, (middle_rows[first] + middle_rows[last]) / 2.0)
    return _Groups(distinct[middle], first == last)


def _roundest(low: Floats, high: Floats) -> Floats:
    """The roundest number above `low` and not above `high`, for each pair of them."""
    found = np.full(len(low), np.nan)
    for step in STEPS:
        # Without the hair's breadth, 0.3 would lie below three times 0.1; without rounding, so would the product.
        multiple = np.round(np.floor(high / step + 1e-9) * step, 9)
        found = np.where(np.isnan(found) & (low < multiple) & (multiple <= high), multiple, found)
    return np.where(np.isnan(found), high, found)
