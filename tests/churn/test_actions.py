"""Contacts are valued by the policy's belief, and not made where lots have told that an action loses by them."""

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


def test_an_effect_leaves_alone_whom_it_advises_against_and_changes_nothing_for_the_others() -> None:
    effect = np.array([np.nan, 0.3, -0.02])
    gain, believed = gain_of(ROWS, VALUE, CALL, effect), expected_value(RISK, VALUE, CALL)
    np.testing.assert_array_equal(gain.worth[:2], believed[:2])
    assert gain.worth[2] == value_of_effect(RISK, effect, VALUE, CALL)[2] < 0.0 < believed[2]
    np.testing.assert_allclose(gain.keep, [CALL.keep_probability, CALL.keep_probability, -0.04])


def test_an_effect_that_does_not_pay_for_the_contact_advises_against_it() -> None:
    just, too_little = CALL.contact_cost / VALUE[0] * 1.01, CALL.contact_cost / VALUE[0] * 0.99
    gain = gain_of(ROWS, VALUE, CALL, np.array([just, too_little, too_little]))
    assert (gain.worth > 0.0).tolist() == [True, False, False]


def test_of_whom_no_lot_was_drawn_no_effect_counts() -> None:
    """Who was worth nothing by the belief was in no wave: what the cards say of him was never tried."""
    poor = np.full(3, 1.0)
    gain = gain_of(ROWS, poor, VOUCHER, np.full(3, 0.9))
    np.testing.assert_array_equal(gain.worth, expected_value(RISK, poor, VOUCHER))


def test_another_action_is_offered_to_whom_the_one_believed_in_drives_away() -> None:
    rows = pa.table(
        {"probability": RISK, "reason_1_feature": ["complaints"] * 3}
        | {f"reason_{place}_feature": pa.nulls(3, pa.string()) for place in (2, 3)}
    )
    believed = offers(rows, VALUE, small_policy())
    told = offers(rows, VALUE, small_policy(), np.column_stack([[0.1, -0.1, -0.1], np.full(3, np.nan)]))
    assert believed.action[:, 0].tolist() == [0, 0, 0]
    assert told.action[:, 0].tolist() == [0, 1, 1]
    np.testing.assert_allclose(told.keep[:, 0], [CALL.keep_probability] + 2 * [VOUCHER.keep_probability])
