"""Contacts are valued by what lots have told of an action, and where none has by the policy's own belief."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churn.actions import gain_of, offers
from churn.profit import expected_value, value_of_effect
from tests.policies import CALL, VOUCHER, small_policy

RISK, VALUE = np.array([0.1, 0.3, 0.5]), np.full(3, 400.0)
ROWS = pa.table({"probability": RISK})


def test_without_an_effect_the_policy_s_keep_probability_counts() -> None:
    gain = gain_of(ROWS, VALUE, CALL)
    np.testing.assert_array_equal(gain.worth, expected_value(RISK, VALUE, CALL))
    np.testing.assert_array_equal(gain.keep, CALL.keep_probability)


def test_an_effect_counts_where_a_lot_told_it_and_the_belief_where_none_did() -> None:
    effect = np.array([np.nan, 0.06, -0.02])
    gain = gain_of(ROWS, VALUE, CALL, effect)
    assert gain.worth[0] == expected_value(RISK, VALUE, CALL)[0]
    np.testing.assert_array_equal(gain.worth[1:], value_of_effect(RISK, effect, VALUE, CALL)[1:])
    np.testing.assert_allclose(gain.keep, [CALL.keep_probability, 0.2, -0.04])


def test_no_action_keeps_more_than_would_have_left() -> None:
    gain = gain_of(ROWS, VALUE, CALL, np.full(3, 0.9))
    np.testing.assert_array_equal(gain.keep, 1.0)
    np.testing.assert_array_equal(gain.worth, value_of_effect(RISK, RISK, VALUE, CALL))


def test_of_whom_no_lot_was_drawn_no_effect_counts() -> None:
    """Who was worth nothing by the belief was in no wave: what the cards say of him was never tried."""
    poor = np.full(3, 1.0)
    gain = gain_of(ROWS, poor, VOUCHER, np.full(3, 0.9))
    np.testing.assert_array_equal(gain.worth, expected_value(RISK, poor, VOUCHER))


def test_the_action_that_lots_have_told_more_of_is_offered_instead_of_the_one_believed_in() -> None:
    rows = pa.table(
        {"probability": RISK, "reason_1_feature": ["complaints"] * 3}
        | {f"reason_{place}_feature": pa.nulls(3, pa.string()) for place in (2, 3)}
    )
    believed = offers(rows, VALUE, small_policy())
    told = offers(rows, VALUE, small_policy(), np.column_stack([np.full(3, np.nan), np.full(3, 0.2)]))
    assert believed.action[:, 0].tolist() == [0, 0, 0]
    assert told.action[:, 0].tolist() == [0, 1, 1], "to the first a voucher was never worth a contact"
    np.testing.assert_allclose(told.keep[:, 0], [CALL.keep_probability, 2 / 3, 0.4])
