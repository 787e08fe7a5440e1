"""What a contact is worth: the sign changes exactly at the break-even probability."""

import numpy as np
import pytest

from churn.profit import Floats, expected_value, value_of_effect
from schemas.policy import Action

OFFER = Action(name="offer", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="Offer it.")


def break_even(customer_value: Floats) -> Floats:
    """The churn probability above which the offer pays, as the textbook has it: `(d + f) / (g*(V - d) + d)`."""
    gain = OFFER.keep_probability * (customer_value - OFFER.offer_cost) + OFFER.offer_cost
    return (OFFER.offer_cost + OFFER.contact_cost) / gain


@pytest.mark.parametrize(("customer_value", "probability"), [(200.0, 0.1642), (1000.0, 0.0358)])
def test_one_cut_off_is_right_for_nobody(customer_value: float, probability: float) -> None:
    below, above = expected_value(np.array([probability - 1e-4, probability + 1e-4]), np.full(2, customer_value), OFFER)
    assert below < 0 < above


def test_a_contact_at_break_even_is_worth_nothing() -> None:
    values = np.array([60.0, 200.0, 1000.0])
    assert expected_value(break_even(values), values, OFFER) == pytest.approx([0, 0, 0], abs=1e-12)


def test_an_unknown_value_stays_unknown() -> None:
    assert np.isnan(expected_value(np.array([0.5]), np.array([np.nan]), OFFER)[0])


def test_an_effect_of_p_times_g_is_worth_what_is_expected() -> None:
    risk, value = np.array([0.1, 0.5, 0.9]), np.array([100.0, 300.0, np.nan])
    gained = value_of_effect(risk, risk * OFFER.keep_probability, value, OFFER)
    np.testing.assert_allclose(gained, expected_value(risk, value, OFFER))
