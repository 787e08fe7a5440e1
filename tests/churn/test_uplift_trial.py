"""Lists go by measured effects of an action only where its waves' own lot says that these earn more than the belief."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.training.plan import TrainingPlan
from churn.training.uplift_trial import Trial, tried
from churn.uplift import card_effects
from schemas.columns import Column, LogicalType
from schemas.uplift import UpliftVerdict
from tests.policies import CALL, small_policy

COLUMNS = (Column("bill", LogicalType.NUMBER, "Bill"), Column("age", LogicalType.NUMBER, "Age"))
QUICK = TrainingPlan(interactions=0, outer_bags=1, max_rounds=60)


def waves(customers: int, *, harms: bool, share: float = 0.4) -> pa.Table:
    """The call keeps those with a high bill, and drives the others away where it harms; else it keeps all alike."""
    dice = np.random.default_rng(7)
    bill, age = dice.uniform(0, 100, customers), dice.uniform(20, 80, customers)
    held_out = dice.random(customers) < share
    touched = np.where(bill > 50, 0.1, 0.5) if harms else np.full(customers, 0.2)
    left = dice.random(customers) < np.where(held_out, 0.3, touched)
    return pa.table(
        {
            "customer_id": [f"C{number}" for number in range(customers)],
            "unit": pa.nulls(customers, pa.string()),
            "bill": bill,
            "age": age,
            "action": ["call"] * customers,
            "held_out": held_out,
            "label": left.astype(np.int64),
            "probability": np.full(customers, 0.3),
            "customer_value": np.full(customers, 200.0),
            "share": np.full(customers, share),
            "spent": np.where(held_out, 0.0, CALL.contact_cost),
        }
    )


def trial(members: pa.Table) -> Trial:
    return tried(members, COLUMNS, [CALL], QUICK)[0]


def test_effects_that_tell_whom_a_call_drives_away_take_the_place_of_the_belief() -> None:
    members = waves(6_000, harms=True)
    found = trial(members)
    assert found.verdict is UpliftVerdict.PAYS
    # A call drives a fifth of one half away, at 200 each, and costs 2: to leave these alone brings 21 a customer.
    assert found.gained is not None
    assert 21.0 * 0.6 < found.gained.value < 21.0 * 1.1
    assert found.cards is not None
    effect = card_effects({"call": found.cards}, members, small_policy())[:, 0]
    assert effect[members["bill"].to_numpy() > 60].mean() > 0.1 > 0.0 > effect[members["bill"].to_numpy() < 40].mean()


def test_where_a_call_keeps_all_alike_the_belief_stays() -> None:
    assert trial(waves(6_000, harms=False)).verdict is UpliftVerdict.NO_GAIN


def test_below_the_size_it_is_said_from_which_size_on() -> None:
    found = trial(waves(1_000, harms=False))
    assert (found.verdict, found.cards) == (UpliftVerdict.NOT_YET, None)
    assert found.says == (
        f"Not yet: of 1,000 customers of waves {found.drawn.listed_churned} listed and {found.drawn.held_out_churned}"
        f" held out left; about {found.needed:,} are needed, so that 200 of each leave."
    )
    assert found.needed == pytest.approx(200 * 1_000 / min(found.drawn.listed_churned, found.drawn.held_out_churned), 1)


def test_who_could_not_be_held_out_and_whose_money_is_not_known_teaches_nothing() -> None:
    members = waves(600, harms=False)
    silent = members.set_column(members.column_names.index("share"), "share", pa.nulls(600, pa.float64()))
    unpriced = members.set_column(members.column_names.index("spent"), "spent", pa.nulls(600, pa.float64()))
    assert trial(silent).drawn.members == trial(unpriced).drawn.members == 0
    assert "nobody knows" in trial(silent).says


def test_an_action_without_waves_has_a_trial_too() -> None:
    [_, of_voucher] = tried(waves(600, harms=False), COLUMNS, small_policy().actions, QUICK)
    assert (of_voucher.action, of_voucher.drawn.members) == ("voucher", 0)
