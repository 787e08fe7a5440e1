"""Customers in the order of their scores, each counting once, many times or never: what every figure is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]


class Curve(NamedTuple):
    """The distinct scores from the top, and how many churners and stayers score at least so high.

    Both counts begin with 0, above the highest score, and end with everybody; [scores + 1].
    """

    scores: Floats
    churners: Floats
    stayers: Floats

    @property
    def customers(self) -> Floats:
        """How many of both."""
        return self.churners + self.stayers

    @property
    def base_rate(self) -> float:
        """The share of churners among all."""
        return float(self.churners[-1] / self.customers[-1])

    def churners_among(self, share: float) -> float:
        """How many churners are among the `share` of customers that score highest; of equal scores a like part."""
        return float(np.interp(share * self.customers[-1], self.customers, self.churners))

    def auc(self) -> float:
        """The chance that a churner scores above a stayer, a tie counting half."""
        stayers_below = self.stayers[-1] - (self.stayers[1:] + self.stayers[:-1]) / 2.0
        return weighed(np.diff(self.churners), stayers_below) / float(self.churners[-1] * self.stayers[-1])

    def average_precision(self) -> float:
        """The mean, over the churners, of the share of churners among those who score at least as high."""
        found, seen = np.diff(self.churners), self.customers[1:]
        shares = np.divide(self.churners[1:], seen, out=np.zeros_like(seen), where=seen > 0.0)
        return weighed(found, shares) / float(self.churners[-1])

    def lift(self, share: float) -> float:
        """How many times the base rate is found among the `share` of customers that score highest."""
        return float(self.churners_among(share) / (share * self.churners[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Customers from the highest score down, sorted once to be counted often.

    `order` are their first places and `churned` is 1.0 for a churner, [customers]; `ends` is where each of the
    distinct `scores` ends.
    """

    order: Places
    churned: Floats
    ends: Places
    scores: Floats

    def curve(self, weights: Floats) -> Curve:
        """The curve in which the customer at each first place counts `weights` times."""
        counts = weights[self.order]
        churners, stayers = (np.cumsum(counts * kind)[self.ends] for kind in (self.churned, 1.0 - self.churned))
        return Curve(self.scores, np.append(0.0, churners), np.append(0.0, stayers))


def ranked(labels: Labels, scores: Floats) -> Ranking:
    """The ranking of customers; `labels` are 1 for a churner and 0 for a stayer, both [customers]."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    return Ranking(order, labels[order].astype(np.float64), ends, falling[ends])


def curve_of(labels: Labels, scores: Floats, weights: Floats | None = None) -> Curve:
    """The curve of customers of whom each counts `weights` times, or once."""
    return ranked(labels, scores).curve(np.ones(len(labels)) if weights is None else weights)


def weighed(weights: Floats, values: Floats) -> float:
    """The sum of the values, each as often as it weighs.

    Not by `@`: BLAS wakes its threads for it, which takes a hundred times as long as the sum, and the number of
    threads decides the last bit.
    """
    return float((weights * values).sum())
