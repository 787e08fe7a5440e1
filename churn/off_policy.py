"""What a decision rule would have earned, told from customers among whom chance decided what was done."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn.ranking import Floats
from churn.trial import NORMAL_95

Ints = npt.NDArray[np.int64]

NOTHING = -1  # the arm of those who are left alone
ERROR = 0.025  # the chance that an interval lies above the truth, and that any of many looks says so falsely


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Customers and what came of them, all [n]: the action that was done, or NOTHING, and how likely chance did that.

    `money` is what the customer brought after costs. Every arm that a rule may choose has been possible for everybody:
    `propensity` is above 0. `unit` is the number of what each lot was drawn for, None where each had one of his own.
    """

    action: Ints
    propensity: Floats
    money: Floats
    unit: Ints | None = None


class Value(NamedTuple):
    """Money per customer, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def policy_value(logged: Logged, chosen: Ints, expected: Floats | None = None) -> Value:
    """What the rule that chooses these actions [n] would have brought.

    By inverse propensity; doubly robust where somebody says what each arm is `expected` to bring, [n, 1 + actions],
    NOTHING first: right if either the lot or the expectation is (Dudik et al., Statistical Science 29, 2014, 485-511).
    """
    return _mean(logged, _scores(logged, chosen, expected))


def value_gained(logged: Logged, chosen: Ints, instead_of: Ints, expected: Floats | None = None) -> Value:
    """How much more one rule would have brought than another, of the same customers."""
    return _mean(logged, _scores(logged, chosen, expected) - _scores(logged, instead_of, expected))


def pays(gained: Value) -> bool:
    """Whether a rule that gained so much over the present one may take its place: the interval lies above 0."""
    return gained.low > 0.0


def surely_gained(gained: Value, look: int, rules: int = 1) -> float:
    """What a rule gained at least, seen at the look of that number, from 1 on, at one of several `rules`.

    All looks at all of them together, however many there will be, overstate a gain with the chance ERROR: each may with
    a part of it, by its number k the part 1/(k*(k+1)), since these add up to 1 (spending by looks: Lan and DeMets,
    Biometrika 70, 1983, 659-663). Each look tries a rule that has learnt more, so that nothing is taken to be known of
    how looks hang together (Bonferroni).
    """
    chance = ERROR / (look * (look + 1) * rules)
    return gained.value - NormalDist().inv_cdf(1.0 - chance) * (gained.value - gained.low) / NORMAL_95


def _scores(logged: Logged, chosen: Ints, expected: Floats | None) -> Floats:
    """Each customer's part in the value: their mean is unbiased for what the rule brings."""
    weight = (logged.action == chosen) / logged.propensity
    if expected is None:
        # A level that the rule cannot change is taken out and put back: else its noise would be weighed, too.
        level = logged.money.mean()
        return np.asarray(level + weight * (logged.money - level))
    everybody = np.arange(len(chosen))
    told, seen = expected[everybody, chosen + 1], expected[everybody, logged.action + 1]
    return np.asarray(told + weight * (logged.money - seen))


def _mean(logged: Logged, scores: Floats) -> Value:
    """The mean, and an interval by the spread of units: members of a household tell of each other."""
    mean, apart = float(scores.mean()), scores - scores.mean()
    summed = apart if logged.unit is None else np.bincount(logged.unit, apart)
    half = NORMAL_95 * sqrt(float((summed**2).sum())) / len(scores)
    return Value(mean, mean - half, mean + half)
