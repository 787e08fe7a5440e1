"""A status tells what the decision was made by, so that what came of it can be counted in the same money and units."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from churn.listing import status_rows
from churn.outreach import Terms, judge
from churn.wave import draw
from schemas.policy import Action, Channel, CustomerValue, Holdout, Policy, Team
from tests.policies import nothing_before

CALL = Action(name="call", channel="phone", offer_cost=0, contact_cost=1, keep_probability=0.5, says="Call.")
CUSTOMERS = pa.table(
    {
        "customer_id": ["anna", "bert", "cleo"],
        "probability": [0.9, 0.8, 0.1],
        "customer_value": [300.0, 200.0, 100.0],
        "home": pa.array(["H1", None, "H2"], pa.string()),
    }
)


def statuses(unit: str) -> list[dict[str, Any]]:
    """What becomes of the three where two are contacted."""
    policy = Policy(
        name="two",
        version="1.0.0",
        description="Two calls a day.",
        actions=(CALL,),
        channels=(Channel(name="phone"),),
        teams=(Team(name="retention", capacity=2),),
        customer_value=CustomerValue(multiplier=12.0),
        holdout=Holdout(share=0.1, unit=unit),
    )
    terms = Terms(policy, "d" * 64, date(2026, 3, 1), "home")
    judged = judge(CUSTOMERS, terms, nothing_before(policy))
    [places] = draw([judged.candidates], policy).parts
    return status_rows(judged, places, terms).to_pylist()


def test_the_money_is_the_one_that_the_policy_decided_by() -> None:
    assert [row["customer_value"] for row in statuses("customer")] == [3_600.0, 2_400.0, 1_200.0]


@pytest.mark.parametrize(
    ("unit", "units"),
    [
        ("customer", ["customer anna", "customer bert", None]),
        ("household", ["household H1", "customer bert", None]),
    ],
)
def test_of_who_is_in_the_wave_it_is_told_what_the_lot_was_drawn_for(unit: str, units: list[str | None]) -> None:
    assert [row["unit"] for row in statuses(unit)] == units
