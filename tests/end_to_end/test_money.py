"""The money of decision rules is counted by what would truly have become of customers, and no rule looks at it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.money import RULES, Earned, earned_by, figures, rules
from churn.actions import offers
from churn.simulator import ACTIONS
from store.policies import read_policy

CUSTOMERS = 6_000


def month(seed: int) -> pa.Table:
    """A third complain and are kept by a call, a third have a ticket and leave for one; the plan drives all away."""
    dice = np.random.default_rng(seed)
    kind, risk = np.arange(CUSTOMERS) % 3, dice.uniform(0.02, 0.2, CUSTOMERS)
    factor = {"service_call": np.array([0.6, 1.1, 1.0])[kind], "plan_recommendation": np.full(CUSTOMERS, 1.4)}
    after = {action: risk * factor.get(action, np.ones(CUSTOMERS)) for action in ACTIONS}
    luck = dice.random(CUSTOMERS)
    columns = {
        "as_of": [date(2026, 1, 1)] * CUSTOMERS,
        "customer_id": [f"C{number}" for number in range(CUSTOMERS)],
        "household_id": pa.nulls(CUSTOMERS, pa.string()),
        "probability": risk,
        "customer_value": np.full(CUSTOMERS, 300.0),
        "complaints_open": (kind == 0).astype(np.int64),
        "tickets_open": (kind < 2).astype(np.int64),
        "handset_age_days": np.zeros(CUSTOMERS),
        "price_change_6m": np.zeros(CUSTOMERS),
        "overage_mean_3m": np.zeros(CUSTOMERS),
        "reason_1_feature": np.array(["tickets_open", "tickets_open", "tenure_months"])[kind],
        "reason_2_feature": pa.nulls(CUSTOMERS, pa.string()),
        "reason_3_feature": pa.nulls(CUSTOMERS, pa.string()),
        "p0": risk,
        "churned_untouched": luck < risk,
    }
    fates = {f"churned_{action}": luck < after[action] for action in ACTIONS}
    return pa.table(columns | {f"p1_{action}": after[action] for action in ACTIONS} | fates)


@pytest.fixture(scope="module")
def earned() -> dict[str, Earned]:
    months = [month(1), month(2)]
    return {name: earned_by(rule, months) for name, rule in rules(1).items()}


def test_nobody_earns_more_than_the_oracle_by_true_probabilities(earned: dict[str, Earned]) -> None:
    assert max(RULES, key=lambda name: earned[name].expected) == "oracle"


def test_causes_earn_more_than_one_keep_probability_for_all(earned: dict[str, Earned]) -> None:
    assert earned["policy"].expected > earned["risk_value"].expected > earned["random"].expected


def test_the_policy_values_customers_as_a_night_does() -> None:
    rows = month(1)
    worth = offers(rows, np.asarray(rows["customer_value"]), read_policy("telco").policy).worth.max(axis=1)
    np.testing.assert_allclose(rules(1)["policy"](rows, rows).worth.max(axis=1), worth)
    assert (worth > 0.0).any()


def test_plan_recommendations_to_the_highest_risks_lose(earned: dict[str, Earned]) -> None:
    assert earned["risk_only"].expected < 0


def test_what_is_held_out_by_lot_is_missing_in_the_money(earned: dict[str, Earned]) -> None:
    assert earned["policy"].lot > 0
    assert earned["policy"].contacts < earned["beliefs_alone"].contacts
    assert earned["beliefs_alone"].lot == 0


def test_figures_are_means_over_telecoms_and_shares_of_the_oracle(earned: dict[str, Earned]) -> None:
    found = figures([earned, earned])
    assert found["policy"] == round(earned["policy"].money)
    share = earned["policy"].money / earned["oracle"].money
    assert found["share_policy"] == pytest.approx([share] * 3, abs=5e-4)
