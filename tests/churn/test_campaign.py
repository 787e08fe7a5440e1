"""The money that models are told apart by is that of the base's own decision policy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.campaign import PUBLISHED, Campaign, best_campaign, campaign_of
from churn.errors import PolicyError
from churn.ranking import curve_of
from schemas.policy import Action, Channel, CustomerValue, Policy, Team
from tests import cards


def policy(*actions: tuple[float, float, float], **changes: object) -> Policy:
    """Actions that cost so much for an offer and a contact and keep so many; teams reach ten customers a day."""
    parts = [
        Action(
            name=f"action_{number}",
            channel="phone",
            offer_cost=offer,
            contact_cost=contact,
            keep_probability=keep,
            says="Hello.",
        )
        for number, (offer, contact, keep) in enumerate(actions)
    ]
    teams = tuple(Team(name=name, capacity=5) for name in ("north", "south"))
    given = {"name": "tiny", "version": "1.0.0", "description": "tiny", "actions": tuple(parts), "teams": teams}
    return Policy(**{**given, "channels": (Channel(name="phone"),), **changes})  # type: ignore[arg-type]


def customers(bills: list[float | None]) -> pa.Table:
    return pa.table({"bill": pa.array(bills, pa.float64()), "tenure": pa.array([3.0] * len(bills))})


def test_costs_and_chances_are_the_mean_of_the_actions_and_the_value_is_that_of_the_contract():
    """A bill of 20 on average is 240 a year; ten contacts a day for 30 days reach 300 of 1,000 customers."""
    rows = customers([10.0, 30.0] * 500)
    found = campaign_of(policy((4.0, 0.0, 0.2), (2.0, 1.0, 0.3)), cards.contract(), rows, np.ones(1_000))
    assert found == Campaign(240.0, 3.0, 0.5, accepting=5, refusing=15, capacity=0.3)


@pytest.mark.parametrize(
    ("keeps", "accepting", "refusing"),
    [(0.3, 6, 14), (0.19, 4, 17), (0.07, 1, 13), (0.02, 1, 49), (1e-4, 1, 400), (1, 20, 1)],
)
def test_the_chance_that_an_offer_keeps_a_churner_is_that_of_the_policy(
    keeps: float, accepting: int, refusing: int
) -> None:
    found = campaign_of(policy((4.0, 0.0, keeps)), cards.contract(), customers([10.0]), np.ones(1))
    assert (found.accepting, found.refusing) == (accepting, refusing)
    risk = np.linspace(-1.0, 1.0, 400)
    best = best_campaign(curve_of((risk > 0.5).astype(np.int64), risk), found)
    assert 0.0 <= best.profit <= 400.0
    assert 0.0 <= best.share <= 1.0


def test_a_customer_who_stands_for_several_counts_as_often():
    found = campaign_of(policy((4.0, 0.0, 0.2)), cards.contract(), customers([10.0, 30.0]), np.array([300.0, 900.0]))
    assert (found.customer_value, found.capacity) == (25.0 * 12, 0.25)


def test_teams_that_reach_more_than_there_are_reach_all():
    assert campaign_of(policy((4.0, 0.0, 0.2)), cards.contract(), customers([10.0]), np.ones(1)).capacity == 1.0


def test_a_policy_may_name_the_column_of_the_value():
    worth = policy((4.0, 0.0, 0.2), customer_value=CustomerValue(column="tenure", multiplier=7.0))
    assert campaign_of(worth, cards.contract(), customers([10.0]), np.ones(1)).customer_value == 21.0


def test_where_nobodys_value_is_known_the_published_one_counts():
    found = campaign_of(policy((4.0, 0.0, 0.2)), cards.contract(), customers([None, float("nan")]), np.ones(2))
    assert found.customer_value == PUBLISHED.customer_value


def test_a_policy_whose_offers_cost_more_than_a_customer_is_worth_is_refused():
    with pytest.raises(PolicyError, match="an offer costs 130 on average, and a customer is worth 120"):
        campaign_of(policy((130.0, 0.0, 0.2)), cards.contract(), customers([10.0]), np.ones(1))
