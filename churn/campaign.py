"""What a retention campaign earns that contacts customers from the highest score down."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.errors import PolicyError
from churn.ranking import Curve, Floats
from schemas.columns import Role
from schemas.contract import Contract

if TYPE_CHECKING:
    from schemas.policy import Policy

CONTACTS_KNOWN = 20  # how firmly the chance that an offer keeps a churner is known: as after so many contacts
MOST_REFUSING = 400  # of a chance so small more are needed; binomials beyond a thousand are no floating-point numbers


@dataclass(frozen=True, slots=True)
class Campaign:
    """What keeping a customer is worth, what an offer and a contact cost, and how often an offer keeps a churner.

    That chance is Beta(`accepting`, `refusing`), both whole. `capacity` is the share of the base that is contacted. As
    it is given here it is the published one: Verbraken, Verbeke and Baesens 2013.
    """

    customer_value: float = 200.0
    offer_cost: float = 10.0
    contact_cost: float = 1.0
    accepting: int = 6
    refusing: int = 14
    capacity: float = 0.10

    @property
    def keep_probability(self) -> float:
        """The mean chance that an offer keeps a churner."""
        return self.accepting / (self.accepting + self.refusing)


PUBLISHED = Campaign()


class Profit(NamedTuple):
    """What the best contact campaign earns per customer, and the share of customers that it contacts."""

    profit: float
    share: float


def campaign_of(policy: Policy, contract: Contract, rows: pa.Table, weights: Floats) -> Campaign:
    """What the policy's contacts cost and keep on average over its actions, and how much of the base they reach.

    `rows` are customers of one date of whom each counts `weights` times; the teams contact them within the contract's
    horizon, in which those leave who are to be kept. PolicyError where no contact could ever pay.
    """
    value = _mean_value(policy, contract, rows, weights)
    offer, contact, keep = (
        float(np.mean([getattr(action, name) for action in policy.actions]))
        for name in ("offer_cost", "contact_cost", "keep_probability")
    )
    if value <= offer:
        raise PolicyError(
            f"an offer costs {offer:g} on average, and a customer is worth {value:g}",
            where=f"policy {policy.name}",
            to_do="Mend the costs or customer_value: without money no model can be told from another.",
        )
    reached = policy.capacity * contract.horizon_days / float(weights.sum())
    return Campaign(value, offer, contact, *_accepting_and_refusing(keep), min(reached, 1.0))


def best_campaign(curve: Curve, campaign: Campaign = PUBLISHED) -> Profit:
    """The expected maximum profit of a retention campaign (EMPC), exact on the ROC curve's convex hull.

    The chance that an offer keeps a churner is Beta-distributed; which vertex of the hull is the best cut-off changes
    at one chance between each two vertices, so the expectation is a sum of incomplete beta functions.
    """
    hull = hull_of(curve) / curve.customers[-1]
    churners, stayers = hull[:, 0], hull[:, 1]
    value = campaign.customer_value
    offer, contact = campaign.offer_cost / value, campaign.contact_cost / value
    turns = ((offer + contact) * np.diff(stayers) / np.diff(churners) + contact) / (1.0 - offer)
    limits = np.clip(np.concatenate([[0.0], turns, [1.0]]), 0.0, 1.0)
    accepting, refusing = campaign.accepting, campaign.refusing
    chance = np.diff(_incomplete_beta(limits, accepting, refusing))
    kept = campaign.keep_probability * np.diff(_incomplete_beta(limits, accepting + 1, refusing))
    gain = (1.0 - offer) * churners * kept - (contact * churners + (offer + contact) * stayers) * chance
    return Profit(float(value * gain.sum()), float(((churners + stayers) * chance).sum()))


def profit_at_capacity(curve: Curve, campaign: Campaign = PUBLISHED) -> float:
    """What contacting the share of the base that scores highest and can be reached earns, per customer of the base.

    An offer keeps a churner with the mean chance of the EMPC, and then costs its price; a stayer takes it without
    need. So a churner contacted brings `g*(V-d) - f` and a stayer `-(d + f)`: the sum may be negative.
    """
    offer, contact = campaign.offer_cost, campaign.contact_cost
    churners = curve.churners_among(campaign.capacity) / curve.customers[-1]
    gain = campaign.keep_probability * (campaign.customer_value - offer) - contact
    return float(churners * gain - (campaign.capacity - churners) * (offer + contact))


def hull_of(curve: Curve) -> Floats:
    """The vertices [n, 2] from (0, 0) on along which each step costs more stayers per churner than the one before."""
    hull = [(0.0, 0.0)]
    for point in _candidates(curve).tolist():
        while len(hull) > 1 and _above(hull, point):
            hull.pop()
        hull.append((point[0], point[1]))
    return np.array(hull)


def _mean_value(policy: Policy, contract: Contract, rows: pa.Table, weights: Floats) -> float:
    """What keeping a customer is worth on average of those whose value is known; the published value of none is."""
    wanted, column = policy.customer_value, contract.one(Role.VALUE)
    name, months = (wanted.column, 1.0) if wanted.column else (column and column.name, contract.value_months)
    if not name:
        return PUBLISHED.customer_value
    values = rows[name].cast(pa.float64()).to_numpy()
    known = np.isfinite(values)
    if not known.any():
        return PUBLISHED.customer_value
    return float(np.average(values[known], weights=weights[known])) * months * wanted.multiplier


def _accepting_and_refusing(keep: float) -> tuple[int, int]:
    """Whole numbers of contacts, about CONTACTS_KNOWN or as many more as a small chance needs to be told from none."""
    accepting = max(round(CONTACTS_KNOWN * keep), 1)
    return accepting, min(max(round(accepting * (1.0 - keep) / keep), 1), MOST_REFUSING)


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
