"""Two scorecards per action tell in whom it helps, and none is trained where a lot left too few."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churn.training.plan import TrainingPlan
from churn.training.uplift import train_uplift
from churn.uplift import card_effects
from schemas.columns import Column, LogicalType
from tests.policies import small_policy

COLUMNS = (Column("bill", LogicalType.NUMBER, "Bill"), Column("age", LogicalType.NUMBER, "Age"))
QUICK = TrainingPlan(interactions=0, outer_bags=1, max_rounds=60)


def trial(customers: int) -> pa.Table:
    """Half are held out; the call keeps half of those with a high bill, and nobody else."""
    dice = np.random.default_rng(4)
    bill, age = dice.uniform(0, 100, customers), dice.uniform(20, 80, customers)
    held_out = dice.random(customers) < 0.5
    risk = np.where(~held_out & (bill > 50), 0.15, 0.3)
    return pa.table(
        {
            "bill": bill,
            "age": age,
            "action": ["call"] * customers,
            "held_out": held_out,
            "label": (dice.random(customers) < risk).astype(np.int64),
        }
    )


def test_the_cards_find_in_whom_an_action_helps() -> None:
    members = trial(6_000)
    effects = card_effects(train_uplift(members, COLUMNS, QUICK), members, small_policy())
    helped = members["bill"].to_numpy() > 50
    assert effects[helped, 0].mean() > 0.08 > 0.05 > abs(effects[~helped, 0].mean())
    assert np.isnan(effects[:, 1]).all()


def test_too_few_who_left_teach_nothing() -> None:
    assert train_uplift(trial(800), COLUMNS, QUICK) == {}
