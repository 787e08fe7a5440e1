"""What an action changes: who has a cause for it, what that is worth, and how waves move what was believed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.beliefs import Belief, believing, expected_gains, keep_probabilities, learned
from churn.profit import expected_value
from schemas.policy import Action, Cause, Condition, Policy
from tests.policies import CALL, VOUCHER, small_policy

COMPLAINT, TICKET = (
    Belief("call", Cause(name=column, when=(Condition(column=column, above=0),), keeps=keeps), spread=0.15)
    for column, keeps in (("complaints", 0.3), ("tickets", -0.05))
)
BELIEFS = (COMPLAINT, TICKET)


def wave(customers: int, *, keep: float, inflated: float = 1.0, seed: int = 3) -> pa.Table:
    """A wave of complaining customers of whom half are held out; scores are `inflated` times the true risk."""
    dice = np.random.default_rng(seed)
    risk, held_out = dice.uniform(0.05, 0.3, customers), dice.random(customers) < 0.5
    left = dice.random(customers) < np.where(held_out, risk, risk * (1.0 - keep))
    return pa.table(
        {
            "action": ["call"] * customers,
            "held_out": held_out,
            "churned": left,
            "probability": risk * inflated,
            "complaints": np.ones(customers),
            "tickets": np.ones(customers),
        }
    )


def test_without_causes_the_policy_s_own_keep_probability_goes_to_who_has_the_reason() -> None:
    rows = pa.table(
        {
            "reason_1_feature": ["complaints", "age"],
            "reason_2_feature": pa.nulls(2, pa.string()),
            "reason_3_feature": pa.nulls(2, pa.string()),
        }
    )
    keep = keep_probabilities(rows, small_policy())
    np.testing.assert_array_equal(keep, [[CALL.keep_probability, VOUCHER.keep_probability], [np.nan, 0.2]])


def test_the_first_cause_that_is_met_counts_and_who_meets_none_is_not_offered_the_action() -> None:
    rows = pa.table({"complaints": [1, 0, 0, None], "tickets": [2, 2, 0, None]})
    keep = keep_probabilities(rows, believing(small_policy(), BELIEFS))
    np.testing.assert_array_equal(keep[:, 0], [0.3, -0.05, np.nan, np.nan])
    np.testing.assert_array_equal(keep[:, 1], VOUCHER.keep_probability)  # no belief about its causes: for everybody


@pytest.mark.parametrize("action", [CALL, VOUCHER])
def test_where_the_effect_is_p_times_g_the_gain_is_the_expected_value(action: Action) -> None:
    dice = np.random.default_rng(1)
    risk, value = dice.random(50), dice.uniform(0, 900, 50)
    policy = small_policy().model_copy(update={"actions": (action,)})
    gains = expected_gains(risk, risk[:, None] * action.keep_probability, value, policy)
    np.testing.assert_allclose(gains[:, 0], expected_value(risk, value, action))


def test_an_effect_or_a_value_that_nobody_knows_gains_nothing() -> None:
    policy: Policy = small_policy()
    gains = expected_gains(np.array([0.5, 0.5]), np.full((2, 2), [0.1, np.nan]), np.array([300.0, np.nan]), policy)
    assert np.isfinite(gains).tolist() == [[True, False], [False, False]]


def test_without_waves_beliefs_stay() -> None:
    assert learned(BELIEFS, wave(10, keep=0.0).slice(0, 0)) == BELIEFS


def test_a_small_wave_moves_a_belief_part_of_the_way_and_a_large_one_to_what_it_shows() -> None:
    small, large = (learned(BELIEFS, wave(customers, keep=0.0))[0] for customers in (300, 300_000))
    assert 0.05 < small.keep < COMPLAINT.keep
    assert small.spread < COMPLAINT.spread
    assert large.keep == pytest.approx(0.0, abs=0.03)


def test_only_the_cause_that_customers_had_is_moved() -> None:
    assert learned(BELIEFS, wave(10_000, keep=0.0))[1] == TICKET


def test_scores_that_are_too_high_do_not_pass_for_an_effect() -> None:
    honest, inflated = (learned(BELIEFS, wave(100_000, keep=0.3, inflated=factor))[0] for factor in (1.0, 1.5))
    assert inflated.keep == pytest.approx(honest.keep, abs=0.01)


def test_a_belief_lies_within_two_of_its_spreads_of_the_truth_in_most_waves() -> None:
    dice = np.random.default_rng(8)
    truths = dice.normal(COMPLAINT.keep, COMPLAINT.spread, 60)
    moved = [learned(BELIEFS, wave(4_000, keep=truth, seed=seed))[0] for seed, truth in enumerate(truths)]
    covered = [abs(one.keep - truth) < 2 * one.spread for one, truth in zip(moved, truths, strict=True)]
    assert sum(covered) >= 52
