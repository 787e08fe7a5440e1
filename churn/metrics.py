"""How good a model's probabilities are, in numbers: ranking, calibration and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from churn.campaign import PUBLISHED, Campaign, best_campaign, profit_at_capacity
from churn.ranking import Curve, Floats, Labels, curve_of, weighed

__all__ = ["Evaluation", "Floats", "Labels", "Line", "auc", "calibration_line", "evaluate", "probability"]

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's figures on rows it did not learn from; shares and probabilities between 0 and 1.

    `rows` and `churners` are as they were given, all else is of the base that they stand for. EMPC and the profit at
    capacity are money per customer.
    """

    rows: int
    churners: int
    auc: float
    average_precision: float
    lift_1: float
    lift_5: float
    lift_10: float
    log_loss: float
    brier: float
    ece: float
    calibration_slope: float
    calibration_intercept: float
    observed: float
    predicted: float
    predicted_to_observed: float
    empc: float
    empc_share: float
    profit_at_capacity: float


def evaluate(
    labels: Labels, log_odds: Floats, weights: Floats | None = None, campaign: Campaign = PUBLISHED
) -> Evaluation:
    """Every figure; `labels` are 1 for a churner and 0 for a stayer, both kinds present; all [rows].

    Each row counts `weights` times, or once; money is what `campaign` would earn.
    """
    figures = figures_of(curve_of(labels, log_odds, weights), campaign)
    return Evaluation(rows=len(labels), churners=int(labels.sum()), **figures)


def figures_of(curve: Curve, campaign: Campaign = PUBLISHED) -> dict[str, float]:
    """The figures of an Evaluation, where the curve's scores are log-odds."""
    line, money = _line_of(curve), best_campaign(curve, campaign)
    observed, predicted = curve.base_rate, _predicted(curve)
    return {
        "auc": curve.auc(),
        "average_precision": curve.average_precision(),
        "lift_1": curve.lift(0.01),
        "lift_5": curve.lift(0.05),
        "lift_10": curve.lift(0.10),
        "log_loss": log_loss(curve),
        "brier": _brier(curve),
        "ece": _calibration_error(curve),
        "calibration_slope": line.slope,
        "calibration_intercept": line.shift,
        "observed": observed,
        "predicted": predicted,
        "predicted_to_observed": predicted / observed,
        "empc": money.profit,
        "empc_share": money.share,
        "profit_at_capacity": profit_at_capacity(curve, campaign),
    }


def probability(log_odds: Floats) -> Floats:
    """The probability of each log-odds; never overflows."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


def chance(log_odds: float) -> float:
    """The probability of one, to the same bit: NumPy's own tanh, whose last bit need not be that of `math`."""
    return 0.5 * (1.0 + float(np.tanh(0.5 * log_odds)))


def auc(labels: Labels, scores: Floats) -> float:
    """The chance that a churner scores above a stayer, a tie counting half."""
    return curve_of(labels, scores).auc()


def log_loss(curve: Curve) -> float:
    """The mean negative log-likelihood, in nats; the curve's scores are log-odds."""
    churners, customers = np.diff(curve.churners), np.diff(curve.customers)
    loss = weighed(customers, np.logaddexp(0.0, curve.scores)) - weighed(churners, curve.scores)
    return loss / float(curve.customers[-1])


class Line(NamedTuple):
    """The map `slope * log_odds + shift`."""

    slope: float
    shift: float


def calibration_line(labels: Labels, log_odds: Floats, weights: Floats | None = None) -> Line:
    """The line of log-odds under which the labels are likeliest; (1, 0) says that nothing needs mending.

    Each row counts `weights` times, or once.
    """
    return _line_of(curve_of(labels, log_odds, weights))


def _line_of(curve: Curve) -> Line:
    """By Newton's method, a step of which is clipped where the curvature would throw it far off."""
    x, churners, customers = curve.scores, np.diff(curve.churners), np.diff(curve.customers)
    line = np.array([1.0, 0.0])
    for _ in range(25):
        predicted = probability(line[0] * x + line[1])
        missed, weights = churners - customers * predicted, customers * predicted * (1.0 - predicted)
        slanted = weighed(weights, x)
        # The tiny ridge keeps a step possible where all log-odds are alike.
        curvature = np.array([[weighed(weights, x * x), slanted], [slanted, weights.sum()]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, [weighed(missed, x), missed.sum()])
        line += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return Line(float(line[0]), float(line[1]))


def _predicted(curve: Curve) -> float:
    return weighed(np.diff(curve.customers), probability(curve.scores)) / float(curve.customers[-1])


def _brier(curve: Curve) -> float:
    chance = probability(curve.scores)
    squares = weighed(np.diff(curve.churners), (1.0 - chance) ** 2) + weighed(np.diff(curve.stayers), chance**2)
    return squares / float(curve.customers[-1])


def _calibration_error(curve: Curve) -> float:
    """The mean gap between predicted and observed over ten equally large groups by probability."""
    customers = curve.customers
    predicted = np.append(0.0, np.cumsum(np.diff(customers) * probability(curve.scores)))
    limits = np.linspace(0.0, customers[-1], CALIBRATION_BINS + 1)
    expected, found = (np.diff(np.interp(limits, customers, counted)) for counted in (predicted, curve.churners))
    return float(np.abs(expected - found).sum() / customers[-1])
