"""How good a model's probabilities are, in numbers: ranking, calibration and money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# Verbraken, Verbeke and Baesens 2013: what a churner is worth and costs, and how likely an offer keeps one.
CUSTOMER_VALUE = 200.0
OFFER_COST = 10.0
CONTACT_COST = 1.0
ACCEPTANCE = (6, 14)

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's figures on rows it did not learn from; shares and probabilities between 0 and 1, EMPC in money."""

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
    empc: float
    empc_share: float


def evaluate(labels: Labels, log_odds: Floats) -> Evaluation:
    """Every figure; `labels` are 1 for a churner and 0 for a stayer, both [rows], both kinds present."""
    probabilities = probability(log_odds)
    line = calibration_line(labels, log_odds)
    money = expected_profit(labels, log_odds)
    return Evaluation(
        rows=len(labels),
        churners=int(labels.sum()),
        auc=auc(labels, log_odds),
        average_precision=average_precision(labels, log_odds),
        lift_1=lift(labels, log_odds, 0.01),
        lift_5=lift(labels, log_odds, 0.05),
        lift_10=lift(labels, log_odds, 0.10),
        log_loss=log_loss(labels, log_odds),
        brier=float(np.mean((probabilities - labels) ** 2)),
        ece=calibration_error(labels, probabilities),
        calibration_slope=line.slope,
        calibration_intercept=line.shift,
        observed=float(labels.mean()),
        predicted=float(probabilities.mean()),
        empc=money.profit,
        empc_share=money.share,
    )


def probability(log_odds: Floats) -> Floats:
    """The probability of each log-odds; never overflows."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


def auc(labels: Labels, scores: Floats) -> float:
    """The chance that a churner scores above a stayer, a tie counting half."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2.0)[group]
    churners = int(labels.sum())
    stayers = len(labels) - churners
    return float((ranks[labels == 1].sum() - churners * (churners + 1) / 2.0) / (churners * stayers))


def average_precision(labels: Labels, scores: Floats) -> float:
    """The mean, over the churners, of the share of churners among those who score at least as high."""
    found, seen = _found(labels, scores)
    return float((np.diff(found, prepend=0) * found / seen).sum() / found[-1])


def lift(labels: Labels, scores: Floats, share: float) -> float:
    """How many times the base rate is found among the `share` of customers that score highest."""
    best = np.argsort(-scores, kind="stable")[: ceil(share * len(scores))]
    return float(labels[best].mean() / labels.mean())


def log_loss(labels: Labels, log_odds: Floats) -> float:
    """The mean negative log-likelihood, in nats."""
    return float(np.mean(np.logaddexp(0.0, log_odds) - labels * log_odds))


def calibration_error(labels: Labels, probabilities: Floats) -> float:
    """The mean gap between predicted and observed over ten equally large groups by probability."""
    groups = np.array_split(np.argsort(probabilities, kind="stable"), CALIBRATION_BINS)
    gaps = [abs(probabilities[group].sum() - labels[group].sum()) for group in groups]
    return float(sum(gaps) / len(labels))


class Line(NamedTuple):
    """The map `slope * log_odds + shift`."""

    slope: float
    shift: float


def calibration_line(labels: Labels, log_odds: Floats) -> Line:
    """The line of log-odds under which the labels are likeliest; (1, 0) says that nothing needs mending."""
    inputs = np.column_stack([log_odds, np.ones_like(log_odds)])
    line = np.array([1.0, 0.0])
    for _ in range(25):
        predicted = probability(inputs @ line)
        curvature = inputs.T @ (inputs * (predicted * (1.0 - predicted))[:, None])
        # The tiny ridge keeps a step possible where all log-odds are alike.
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), inputs.T @ (labels - predicted))
        line += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return Line(float(line[0]), float(line[1]))


class Profit(NamedTuple):
    """What the best contact campaign earns per customer, and the share of customers that it contacts."""

    profit: float
    share: float


def expected_profit(labels: Labels, scores: Floats) -> Profit:
    """The expected maximum profit of a retention campaign (EMPC), exact on the ROC curve's convex hull.

    The chance that an offer keeps a churner is Beta-distributed; which vertex of the hull is the best cut-off changes
    at one chance between each two vertices, so the expectation is a sum of incomplete beta functions.
    """
    hull = _hull(*_curve(labels, scores))
    churn_rate = labels.mean()
    churners, stayers = churn_rate * hull[:, 0], (1.0 - churn_rate) * hull[:, 1]
    offer, contact = OFFER_COST / CUSTOMER_VALUE, CONTACT_COST / CUSTOMER_VALUE
    turns = ((offer + contact) * np.diff(stayers) / np.diff(churners) + contact) / (1.0 - offer)
    limits = np.clip(np.concatenate([[0.0], turns, [1.0]]), 0.0, 1.0)
    accepting, refusing = ACCEPTANCE
    chance = np.diff(_incomplete_beta(limits, accepting, refusing))
    kept = accepting / (accepting + refusing) * np.diff(_incomplete_beta(limits, accepting + 1, refusing))
    gain = (1.0 - offer) * churners * kept - (contact * churners + (offer + contact) * stayers) * chance
    return Profit(float(CUSTOMER_VALUE * gain.sum()), float(((churners + stayers) * chance).sum()))


def interval(
    figure: Callable[[Labels, Floats], float], labels: Labels, scores: Floats, *, draws: int = 200, seed: int = 42
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a figure; churners and stayers are drawn apart, so both are always there."""
    dice = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labels == kind) for kind in (0, 1)]
    drawn = (np.concatenate([dice.choice(kind, len(kind)) for kind in kinds]) for _ in range(draws))
    figures = [figure(labels[rows], scores[rows]) for rows in drawn]
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def _found(labels: Labels, scores: Floats) -> tuple[Labels, Labels]:
    """How many churners and how many customers score at least as high, for each distinct score from the top."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0.0, True))
    return np.cumsum(labels[order])[last], last + 1


def _curve(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    found, seen = _found(labels, scores)
    stayers = seen - found
    return np.append(0.0, found / found[-1]), np.append(0.0, stayers / stayers[-1])


def _hull(churners: Floats, stayers: Floats) -> Floats:
    """The vertices [n, 2] from (0, 0) on along which each step costs more stayers per churner than the one before."""
    hull = [(0.0, 0.0)]
    for point in zip(churners.tolist(), stayers.tolist(), strict=True):
        while len(hull) > 1 and _above(hull, point):
            hull.pop()
        if point[0] > hull[-1][0]:
            hull.append(point)
    return np.array(hull)


def _above(hull: list[tuple[float, float]], point: tuple[float, float]) -> bool:
    (x0, y0), (x1, y1) = hull[-2:]
    return (y1 - y0) * (point[0] - x1) >= (point[1] - y1) * (x1 - x0)


def _incomplete_beta(x: Floats, a: int, b: int) -> Floats:
    """The regularised incomplete beta function for whole a and b, where it is a binomial tail."""
    n = a + b - 1
    return np.asarray(sum(comb(n, j) * x**j * (1.0 - x) ** (n - j) for j in range(a, n + 1)))
