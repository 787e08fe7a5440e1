"""Another list's contacts are valued by what one policy believes of each."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from churn.outreach import Judged, Terms, judge
from churn.past import no_statuses, past_of
from churn.rival_list import believed
from schemas.policy import Channel
from tests.policies import CALL, VOUCHER, no_contacts, small_policy

AS_OF = date(2026, 1, 1)
ACTIONS = (CALL, VOUCHER.model_copy(update={"channel": "message"}))
CHANNELS = (Channel(name="phone"), Channel(name="message"))
POLICY = small_policy().model_copy(update={"actions": ACTIONS, "channels": CHANNELS})


def judged() -> Judged:
    rows = pa.table(
        {
            "customer_id": ["ada", "bob", "cleo"],
            "probability": [0.5, 0.4, 0.3],
            "customer_value": [900.0, None, 300.0],
            "reason_1_feature": ["complaints", None, "complaints"],
            **{f"reason_{place}_feature": pa.nulls(3, pa.string()) for place in (2, 3)},
        }
    )
    terms = Terms(POLICY, "d" * 64, AS_OF)
    return judge(rows, terms, past_of(POLICY, AS_OF, no_contacts(), no_statuses()))


def test_contacts_of_another_list_are_worth_what_this_policy_believes_of_them() -> None:
    part = judged()
    worth = part.offers.worth
    assert worth[0, 0] != worth[0, 1], "a call is worth something else than a voucher"
    listed = pa.table({"customer_id": ["cleo", "ada"], "action": ["voucher", "call"]})
    assert believed([part], POLICY, listed) == (pytest.approx(worth[2, 1] + worth[0, 0]), 0)


def test_an_action_that_the_policy_does_not_know_counts_as_its_best_one() -> None:
    part = judged()
    listed = pa.table({"customer_id": ["ada"], "action": ["visit"]})
    assert believed([part], POLICY, listed).money == pytest.approx(part.offers.worth[0].max())


def test_for_whom_the_policy_has_nothing_counts_nothing_and_is_told() -> None:
    listed = pa.table({"customer_id": ["bob", "zoe"], "action": ["call", "call"]})
    assert believed([judged()], POLICY, listed) == (0.0, 2)
