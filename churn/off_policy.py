"""What a decision rule would have earned, told from customers among whom chance decided what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn.bootstrap import intervals
from churn.ranking import Floats, Labels, weighed

Ints = npt.NDArray[np.int64]

NOTHING = -1  # the arm of those who are left alone


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Customers and what came of them, all [n]: the action that was done, or NOTHING, and how likely chance did that.

    `money` is what the customer brought after costs, `churned` is 1 who left. Every arm that a rule may choose has been
    possible for everybody: `propensity` is above 0.
    """

    action: Ints
    propensity: Floats
    money: Floats
    churned: Labels


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
    drawn = intervals(
        lambda counts: {"value": weighed(counts, scores) / float(counts.sum())}, logged.churned, np.ones(len(scores))
    )
    return Value(float(scores.mean()), *drawn["value"])
