"""The arithmetic of a randomised comparison: differences with intervals, the fairness of the lot, the size it needs.

Every function takes arrays whose last axis are the strata, so that a thousand waves are compared as quickly as one.
"""

from __future__ import annotations

from math import ceil, erfc, exp, lgamma, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn.scorecard import Floats

NORMAL_95 = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
NORMAL_80 = 0.8416212335729143  # 80 % of it lie below so many
ENOUGH_EXPECTED = 5.0  # units held out in a stratum, for chi-square to hold there (Cochran)
WORTH_FINDING = 0.20  # the relative cut of churn that a comparison must be large enough to find


class Arms(NamedTuple):
    """How many were listed and held out, and how many of each left; [..., strata]."""

    listed: Floats
    listed_churned: Floats
    held_out: Floats
    held_out_churned: Floats


class Losses(NamedTuple):
    """What the customers of an arm lost with those who left: how many they are, the sum, and that of the squares."""

    customers: Floats
    money: Floats
    money_squared: Floats


class Interval(NamedTuple):
    """A figure with the ends of its 95 % interval; [...]."""

    value: Floats
    low: Floats
    high: Floats


def risk_difference(arms: Arms) -> Interval:
    """The share that left, listed less held out, over the strata together; NaN where no stratum has both arms.

    Weighed as Mantel and Haenszel do, with the interval of Klingenberg (Statistics in Medicine 33, 2014, 2968-2983) on
    the variance of Sato (Biometrics 45, 1989, 1323-1324), which holds for few large strata and for many small ones.
    """
    n1, y1, n0, y0 = arms
    n, both = np.maximum(n1 + n0, 1.0), _have_both(n1, n0)
    slopes = (n1**2 * y0 - n0**2 * y1 + n1 * n0 * (n0 - n1) / 2.0) / n**2
    levels = (y1 * (n0 - y0) + y0 * (n1 - y1)) / (2.0 * n)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = _over_strata(n1 * n0 / n, both)
        value = _over_strata((y1 * n0 - y0 * n1) / n, both) / weight
        slope, level = (NORMAL_95**2 * _over_strata(each, both) / weight**2 for each in (slopes, levels))
    middle = value + slope / 2.0
    half = np.sqrt(np.maximum(middle**2 - value**2 + level, 0.0))
    return Interval(value, middle - half, middle + half)


def loss_difference(listed: Losses, held_out: Losses) -> Interval:
    """The money lost per customer, listed less held out, over the strata; NaN where it cannot be told.

    Weighed as the difference of risks is; the losses are taken to vary alike in every stratum, and within an arm no
    less than in both together: of a small holdout often nobody left, and that tells little of how much losses vary.
    """
    n1, n0 = listed.customers, held_out.customers
    both = _have_both(n1, n0)
    weights = n1 * n0 / np.maximum(n1 + n0, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = _over_strata(weights, both)
        value = _over_strata(weights * (listed.money / n1 - held_out.money / n0), both) / total
        of_both = _variance(both, listed, held_out)
        spread = sum(
            _over_strata(weights**2 / one.customers, both) * np.maximum(_variance(both, one), of_both)
            for one in (listed, held_out)
        )
        half = NORMAL_95 * np.sqrt(spread) / total
    return Interval(value, value - half, value + half)


def sample_ratio_p(held_out: npt.NDArray[np.bool_], share: Floats, stratum: npt.NDArray[np.int64]) -> float:
    """The chance that lots hold units out so unevenly, over all or stratum by stratum, by chi-square; all are [units].

    Each unit is held out with a chance `share`. A lot that holds out too many here and none there may look fair over
    all. Strata in which too few are expected for chi-square count over all alone.
    """
    surplus, spread, expected = (
        np.bincount(stratum, each) for each in (held_out - share, share * (1.0 - share), share)
    )
    over_all = chi_square_p(float(surplus.sum() ** 2 / spread.sum()), 1)
    large = expected >= ENOUGH_EXPECTED
    if large.sum() < 2:
        return over_all
    within = chi_square_p(float((surplus[large] ** 2 / spread[large]).sum()), int(large.sum()))
    return min(1.0, 2.0 * min(over_all, within))  # two chances to raise a false alarm (Bonferroni)


def chi_square_p(statistic: float, freedom: int) -> float:
    """The chance of a chi-square of at least this, by the recurrence of the incomplete gamma function."""
    half, shape = statistic / 2.0, 0.5 if freedom % 2 else 1.0
    if half <= 0.0:
        return 1.0
    p = erfc(sqrt(half)) if freedom % 2 else exp(-half)
    while shape < freedom / 2.0:
        p += exp(shape * log(half) - half - lgamma(shape + 1.0))
        shape += 1.0
    return min(p, 1.0)


def clustering(
    outcome: Floats, held_out: npt.NDArray[np.bool_], stratum: npt.NDArray[np.int64], unit: npt.NDArray[np.int64]
) -> float:
    """How many times as wide intervals are because units share a lot, at least 1; all are [customers].

    Members of a household who leave together tell less than as many strangers do: what each adds to the difference is
    summed by unit (Liang and Zeger, Biometrika 73, 1986, 13-22).
    """
    arm = 2 * stratum + held_out
    customers = np.bincount(arm, minlength=2 * int(stratum.max()) + 2).astype(np.float64)
    listed, spared = customers[0::2], customers[1::2]
    weight = np.where(_have_both(listed, spared), listed * spared / np.maximum(listed + spared, 1), 0.0)
    mean = np.bincount(arm, outcome, len(customers)) / np.maximum(customers, 1)
    adds = weight[stratum] / customers[arm] * (outcome - mean[arm])
    alone, together = float((adds**2).sum()), float((np.bincount(unit, adds) ** 2).sum())
    return sqrt(max(together / alone, 1.0)) if alone else 1.0


def customers_needed(rate: float, share: float, cut: float = WORTH_FINDING) -> int:
    """How many customers, `share` of them held out, show in 8 of 10 comparisons that contacts cut a churn `rate`.

    Two-sided at the 5 % level (Fleiss, Statistical Methods for Rates and Proportions, without his correction).
    """
    left = rate * (1.0 - cut)
    spread = rate * (1.0 - rate) / share + left * (1.0 - left) / (1.0 - share)
    return ceil((NORMAL_95 + NORMAL_80) ** 2 * spread / (rate - left) ** 2)


def _variance(both: npt.NDArray[np.bool_], *arms: Losses) -> Floats:
    """The variance within strata of the arms' losses about the mean of each, over the strata together."""
    squares = sum(_over_strata(one.money_squared - one.money**2 / one.customers, both) for one in arms)
    freedom = sum(_over_strata(one.customers - 1.0, both) for one in arms)
    return np.asarray(np.maximum(squares, 0.0) / freedom)


def _have_both(listed: Floats, held_out: Floats) -> npt.NDArray[np.bool_]:
    return (listed > 0.0) & (held_out > 0.0)


def _over_strata(each: Floats, both: npt.NDArray[np.bool_]) -> Floats:
    """The sum over those strata that have both arms: the others compare nothing."""
    return np.asarray(np.where(both, each, 0.0).sum(axis=-1), np.float64)
