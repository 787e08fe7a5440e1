"""What a retention campaign earns that contacts customers from the highest score down."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn.ranking import Curve, Floats

# Verbraken, Verbeke and Baesens 2013: what a churner is worth and costs, and how likely an offer keeps one.
CUSTOMER_VALUE = 200.0
OFFER_COST = 10.0
CONTACT_COST = 1.0
ACCEPTANCE = (6, 14)

# The share of the base that a team is taken to contact where nobody says how many it can.
CAPACITY = 0.10


class Profit(NamedTuple):
    """What the best contact campaign earns per customer, and the share of customers that it contacts."""

    profit: float
    share: float


def best_campaign(curve: Curve) -> Profit:
    """The expected maximum profit of a retention campaign (EMPC), exact on the ROC curve's convex hull.

    The chance that an offer keeps a churner is Beta-distributed; which vertex of the hull is the best cut-off changes
    at one chance between each two vertices, so the expectation is a sum of incomplete beta functions.
    """
    hull = hull_of(curve) / curve.customers[-1]
    churners, stayers = hull[:, 0], hull[:, 1]
    offer, contact = OFFER_COST / CUSTOMER_VALUE, CONTACT_COST / CUSTOMER_VALUE
    turns = ((offer + contact) * np.diff(stayers) / np.diff(churners) + contact) / (1.0 - offer)
    limits = np.clip(np.concatenate([[0.0], turns, [1.0]]), 0.0, 1.0)
    accepting, refusing = ACCEPTANCE
    chance = np.diff(_incomplete_beta(limits, accepting, refusing))
    kept = accepting / (accepting + refusing) * np.diff(_incomplete_beta(limits, accepting + 1, refusing))
    gain = (1.0 - offer) * churners * kept - (contact * churners + (offer + contact) * stayers) * chance
    return Profit(float(CUSTOMER_VALUE * gain.sum()), float(((churners + stayers) * chance).sum()))


def profit_at_capacity(curve: Curve, capacity: float = CAPACITY) -> float:
    """What contacting the `capacity` share of the base that scores highest earns, per customer of the base.

    An offer keeps a churner with the mean chance of the EMPC, and then costs its price; a stayer takes it without
    need. So a churner contacted brings `g*(V-d) - f` and a stayer `-(d + f)`: the sum may be negative.
    """
    accepting, refusing = ACCEPTANCE
    kept = accepting / (accepting + refusing)
    churners = curve.churners_among(capacity) / curve.customers[-1]
    gain = kept * (CUSTOMER_VALUE - OFFER_COST) - CONTACT_COST
    return float(churners * gain - (capacity - churners) * (OFFER_COST + CONTACT_COST))


def hull_of(curve: Curve) -> Floats:
    """The vertices [n, 2] from (0, 0) on along which each step costs more stayers per churner than the one before."""
    hull = [(0.0, 0.0)]
    for point in _candidates(curve).tolist():
        while len(hull) > 1 and _above(hull, point):
            hull.pop()
        hull.append((point[0], point[1]))
    return np.array(hull)


def _candidates(curve: Curve) -> Floats:
    """The points [n, 2] that may be vertices: found without a loop over customers, as bootstrapping asks many times."""
    found, met = np.diff(curve.churners), np.diff(curve.stayers)
    moved = np.flatnonzero((found > 0.0) | (met > 0.0))
    # A vertex lies where a step that found churners is followed by one that meets stayers.
    turning = moved[(found[moved] > 0.0) & np.append(met[moved[1:]] > 0.0, True)] + 1
    points = np.column_stack([curve.churners[turning], curve.stayers[turning]])
    while len(points) > 2:
        kept = ~np.concatenate([[False], _below_its_neighbours(points), [False]])
        if kept.mean() > 0.9:
            break
        points = points[kept]
    return points


def _below_its_neighbours(points: Floats) -> npt.NDArray[np.bool_]:
    before, after = np.diff(points[:-1], axis=0), np.diff(points[1:], axis=0)
    return np.asarray(before[:, 1] * after[:, 0] > after[:, 1] * before[:, 0])


def _above(hull: list[tuple[float, float]], point: list[float]) -> bool:
    (x0, y0), (x1, y1) = hull[-2:]
    return (y1 - y0) * (point[0] - x1) >= (point[1] - y1) * (x1 - x0)


def _incomplete_beta(x: Floats, a: int, b: int) -> Floats:
    """The regularised incomplete beta function for whole a and b, where it is a binomial tail."""
    n = a + b - 1
    return np.asarray(sum(comb(n, j) * x**j * (1.0 - x) ** (n - j) for j in range(a, n + 1)))
