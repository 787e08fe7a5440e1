"""Lays a challenger's scores of a night beside the champion's: how far they differ, and whether something is wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from churn.backtest import TOLERATED
from churn.metrics import Floats, probability


class Beside(NamedTuple):
    """A challenger's night beside the champion's; `red` says what is wrong, and is empty where nothing is."""

    customers: int
    mean: float
    champion_mean: float
    calibrated_to: float
    overlap: float
    red: str

    @classmethod
    def impossible(cls, why: str) -> Beside:
        """A night that the challenger could not score."""
        return cls(0, 0.0, 0.0, 0.0, 0.0, why)


def beside(challenger: Floats, champion: Floats, calibrated_to: float, places: int) -> Beside:
    """Both models' log-odds of the same customers, [customers]; lists have so many `places`.

    Red is a score that is no number, and a mean so far from the rate which the challenger was calibrated to that a list
    would change by it. That it differs from the champion is no fault: it is there to differ.
    """
    finite = np.isfinite(challenger)
    if not len(challenger) or not finite.all():
        red = f"{int((~finite).sum()):,} of {len(challenger):,} customers have no score"
        return Beside(len(challenger), 0.0, _mean(champion), calibrated_to, 0.0, red)
    mean = _mean(challenger)
    told = f"on average {mean:.2%} are predicted to leave, and {calibrated_to:.2%} it was calibrated to"
    red = "" if 1.0 / TOLERATED <= mean / calibrated_to <= TOLERATED else told
    return Beside(len(challenger), mean, _mean(champion), calibrated_to, _overlap(challenger, champion, places), red)


def _overlap(ours: Floats, theirs: Floats, places: int) -> float:
    """The share of the riskiest by the one who are so by the other, too."""
    most = min(max(places, 1), len(ours))
    both = np.intersect1d(np.argsort(-ours, kind="stable")[:most], np.argsort(-theirs, kind="stable")[:most])
    return len(both) / most


def _mean(log_odds: Floats) -> float:
    return float(probability(log_odds).mean()) if len(log_odds) else 0.0
