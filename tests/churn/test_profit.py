"""What a contact is worth: the sign changes exactly at the break-even probability."""

import numpy as np
import pytest

from churn.profit import break_even, expected_value
from schemas.policy import Action

OFFER = Action(name="offer", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="Offer it.")


@pytest.mark.parametrize(
    ("customer_value", "probability"),
    [(200.0, 0.1642), (1000.0, 0.0358)],
)
def test_one_cut_off_is_right_for_nobody(customer_value: float, probability: float) -> None:
    assert break_even(np.array([customer_value]), OFFER)[0] == pytest.approx(probability, abs=5e-5)


def test_a_contact_at_break_even_is_worth_nothing() -> None:
    values = np.array([60.0, 200.0, 1000.0])
    assert expected_value(break_even(values, OFFER), values, OFFER) == pytest.approx([0, 0, 0], abs=1e-12)


def test_an_unknown_value_stays_unknown() -> None:
    assert np.isnan(expected_value(np.array([0.5]), np.array([np.nan]), OFFER)[0])
