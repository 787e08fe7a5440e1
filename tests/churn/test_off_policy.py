"""What another rule would have earned is told from a lot, with an interval, and no rule passes by luck."""

from __future__ import annotations

import numpy as np
import pytest

from churn.off_policy import NOTHING, Logged, Value, pays, policy_value, value_gained
from churn.ranking import Floats

RISKS, VALUE, COST = (0.1, 0.7), 100.0, 2.0


class Lot:
    """Customers of whom the first half would be kept by the one action; chance gave it to a share of them all."""

    def __init__(self, customers: int, seed: int, share: float = 0.5, keep: float = 0.5) -> None:
        dice = np.random.default_rng(seed)
        self.helped = np.arange(customers) < customers // 2
        self.risk = dice.choice(RISKS, customers)
        self.touched = np.where(self.helped, self.risk * (1.0 - keep), self.risk)
        action = np.where(dice.random(customers) < share, 0, NOTHING)
        churned = dice.random(customers) < np.where(action == 0, self.touched, self.risk)
        money = VALUE * ~churned - COST * (action == 0)
        self.logged = Logged(action, np.where(action == 0, share, 1 - share), money)
        self.everybody, self.nobody = np.zeros(customers, np.int64), np.full(customers, NOTHING)
        self.wise = np.where(self.helped, 0, NOTHING)

    @property
    def expected(self) -> Floats:
        """What each arm truly brings, NOTHING first."""
        return np.stack([VALUE * (1 - self.risk), VALUE * (1 - self.touched) - COST], axis=1)


def test_the_value_of_a_rule_lies_in_its_interval() -> None:
    lot = Lot(20_000, seed=1)
    found = policy_value(lot.logged, lot.everybody)
    assert found.low < VALUE * (1 - 0.3) - COST < found.high


def test_to_treat_only_whom_it_helps_gains_over_treating_all_and_over_treating_none() -> None:
    lot = Lot(40_000, seed=2, share=0.8)
    over_all = value_gained(lot.logged, lot.wise, lot.everybody)
    over_none = value_gained(lot.logged, lot.wise, lot.nobody)
    assert over_all.low < COST / 2 < over_all.high
    assert over_none.low < (0.2 * VALUE - COST) / 2 < over_none.high
    assert pays(over_none)


def test_an_expectation_makes_the_interval_narrower_and_a_wrong_one_does_no_harm() -> None:
    lot = Lot(20_000, seed=3, share=0.7)
    plain = policy_value(lot.logged, lot.wise)
    told = policy_value(lot.logged, lot.wise, lot.expected)
    misled = policy_value(lot.logged, lot.wise, lot.expected[:, ::-1] * 0.8)
    truth = VALUE * (1 - 0.3) - COST / 2
    assert told.high - told.low < plain.high - plain.low
    for found in (plain, told, misled):
        assert found.low - 0.5 < truth < found.high + 0.5


def test_without_an_effect_a_rule_seldom_passes() -> None:
    lots = [Lot(2_000, seed=seed, keep=0.0) for seed in range(40)]
    passed = [pays(value_gained(lot.logged, lot.everybody, lot.nobody)) for lot in lots]
    assert sum(passed) <= 3


@pytest.mark.parametrize(("low", "passes"), [(-0.1, False), (0.0, False), (0.1, True)])
def test_only_an_interval_above_nothing_pays(low: float, passes: bool) -> None:
    assert pays(Value(1.0, low, 2.0)) is passes
