"""Intervals by drawing the same customers again and again with replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from churn.ranking import Floats, Labels, weighed

# Enough to know the ends of a 95 % interval to a tenth of its width. Of very many customers, whose intervals are
# narrow, fewer draws are taken, so that no training waits longer than a minute for them.
DRAWS, FEWEST_DRAWS = 200, 50
MOST_ROWS = 20_000_000  # in all draws together
SEED = 42
ENDS = (2.5, 97.5)

# With fewer, what a draw says depends on which customer it happened to miss.
FEWEST_CHURNERS = 10

Figures = Mapping[str, float]


def intervals(
    figures: Callable[[Floats], Figures], labels: Labels, weights: Floats, *, draws: int = DRAWS
) -> dict[str, tuple[float, float]]:
    """The ends of each figure's 95 % interval; `figures` tells them when each customer counts so many times.

    A draw takes as many customers as there are. Drawn are the same ones for the same labels, so that figures of two
    models on the same customers may be subtracted in `figures`.
    """
    affordable = min(draws, max(FEWEST_DRAWS, MOST_ROWS // len(labels)))
    drawn = [figures(counts * weights) for counts in _counts(labels, affordable)]
    return {name: tuple(np.percentile([one[name] for one in drawn], ENDS).tolist()) for name in drawn[0]}


def _counts(labels: Labels, draws: int) -> Iterator[Floats]:
    """How many times each customer was drawn; a draw without churners or stayers is no draw."""
    dice, size, churned = np.random.default_rng(SEED), len(labels), labels.astype(np.float64)
    while draws:
        counts = np.bincount(dice.integers(0, size, size), minlength=size).astype(np.float64)
        if 0.0 < weighed(counts, churned) < size:
            draws -= 1
            yield counts
