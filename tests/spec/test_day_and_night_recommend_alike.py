"""Whom the night has a place for is recommended the same by day, but for what the answer says that it leaves aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from churn.listing import list_rows, listed_rows, status_rows
from churn.outreach import Terms, judge
from churn.recommendation import Advice, Recommendation, Trouble
from churn.scoring import Stamp, score_rows
from churn.traffic import Traffic, with_challengers
from churn.uplift import Cards, Uplift
from churn.wave import draw
from schemas.policy import Action, Cause, ChallengerTraffic, Channel, Condition, Holdout, Policy, Team
from tests import cards
from tests.policies import nothing_before, small_policy

CUSTOMERS = cards.customers(400)
CAUSES = (
    Cause(name="young", when=(Condition(column="tenure", below=6),), keeps=0.5, says="Welcome again."),
    Cause(name="unbound", when=(Condition(column="in_contract", missing=True),), keeps=0.4),
)
CALL = Action(
    name="call", channel="phone", offer_cost=0, contact_cost=2, keep_probability=0.3, causes=CAUSES, says="Call."
)
PLAN = Action(
    name="plan",
    channel="message",
    offer_cost=3,
    contact_cost=0.5,
    keep_probability=0.3,
    answers=("plan",),
    says="{reason}?",
)
GIFT = Action(name="gift", channel="phone", offer_cost=12, contact_cost=1, keep_probability=0.4, says="Give.")
POLICY = small_policy().model_copy(
    update={
        "actions": (CALL, PLAN, GIFT),
        "channels": (Channel(name="phone"), Channel(name="message")),
        "teams": (Team(name="all", capacity=10_000),),
    }
)
TRAFFIC = Traffic("t" * 64, ("all",), {"all": "n" * 64})
BOLDER = replace(cards.card(), intercept=-1.0)


def harmful() -> Uplift:
    """A gift drives those away who have been there for about a year."""
    tenure, *others = cards.card().terms
    harmed = replace(tenure, table=tenure.table + np.array([-1.0, -1.0, -1.0, 2.0, -1.0]))
    return Uplift("u" * 64, {"gift": Cards(replace(cards.card(), terms=(harmed, *others)), cards.card())})


def scored(card: Any, digest: str, rows: pa.Table) -> pa.Table:
    return score_rows(card, rows, Stamp(cards.AS_OF, cards.contract(), 1, digest))


def by_night(terms: Terms) -> dict[str, dict[str, Any]]:
    """What the night decided of each customer who has a place, with the agent's sentence; others have none."""
    rows = scored(cards.card(), "m" * 64, CUSTOMERS)
    dealt = terms.dealt(CUSTOMERS, cards.contract())
    if dealt:
        rows = with_challengers(rows, CUSTOMERS, dealt, lambda digest, some: scored(BOLDER, digest, some))
    whole = rows
    for name in terms.columns:
        whole = whole.append_column(name, CUSTOMERS[name])
    judged = judge(whole, terms, nothing_before(terms.policy))
    [places] = draw([judged.candidates], terms.policy).parts
    statuses = status_rows(judged, places, terms)
    theirs = rows.filter(pa.array(np.array(statuses["status"].to_pylist()) == "listed"))
    listed = list_rows([listed_rows(theirs, statuses, judged, places)], terms).to_pylist()
    models = dict(zip(statuses["customer_id"].to_pylist(), statuses["model_arm"].to_pylist(), strict=True))
    return {row["customer_id"]: row | {"model_arm": models[row["customer_id"]]} for row in listed}


def by_day(policy: Policy) -> dict[str, Recommendation | None]:
    advice = Advice.of(policy, cards.contract())
    rows = zip(CUSTOMERS.to_pylist(), scored(cards.card(), "m" * 64, CUSTOMERS).to_pylist(), strict=True)
    return {row["customer_id"]: advice.best(score["probability"], row, _troubles(score)) for row, score in rows}


def _troubles(score: dict[str, Any]) -> list[Trouble]:
    told = ((score[f"reason_{place}_feature"], score[f"reason_{place}_value"]) for place in (1, 2, 3))
    return [Trouble(feature, words) for feature, words in told if feature]


def same(night: dict[str, Any] | None, day: Recommendation | None) -> bool:
    if night is None or day is None:
        return night is None and day is None
    decided = night["action"], night["expected_value"], night["agent_says"]
    return decided == (day.action.name, day.expected_value, day.says)


def terms(**more: Any) -> Terms:
    titles = {column.name: column.words for column in cards.contract().features}
    return replace(Terms(POLICY, "p" * 64, cards.AS_OF, titles=titles), **more)


def test_by_reasons_and_causes_both_recommend_the_same_action_money_and_sentence() -> None:
    night, day = by_night(terms()), by_day(POLICY)
    assert all(same(night.get(customer), found) for customer, found in day.items())
    assert {found.action.name if found else None for found in day.values()} == {"call", "plan", "gift", None}


def test_with_effects_in_force_they_differ_only_of_whom_effects_leave_alone_and_the_answer_says_so() -> None:
    uplift = harmful()
    night, day = by_night(terms(uplift=uplift)), by_day(POLICY)
    harmed = uplift.effects(CUSTOMERS, POLICY)[:, 2] < 0.0
    differ = [not same(night.get(customer), found) for customer, found in day.items()]
    recommended_gift = [found is not None and found.action.name == "gift" for found in day.values()]
    assert sum(differ) > 0
    assert all(harmed[place] and recommended_gift[place] for place in np.flatnonzero(differ))
    assert Advice.of(POLICY, cards.contract()).rule == (
        "policy small 1.0.0 by the champion's score; leaves aside rests, capacity and effects that lots have told"
    )


def test_with_a_challenger_they_differ_only_of_its_share_and_the_answer_says_so() -> None:
    challenged = POLICY.model_copy(update={"challenger_traffic": ChallengerTraffic(share=0.3, unit="customer")})
    night, day = by_night(terms(policy=challenged, traffic=TRAFFIC)), by_day(challenged)
    champions = [
        same(night[customer], day[customer]) for customer in night if night[customer]["model_arm"] == "champion"
    ]
    assert len(champions) > 50
    assert all(champions)
    assert (
        "leaves aside rests, capacity, a challenger's share and effects" in Advice.of(challenged, cards.contract()).rule
    )


LEFT_ASIDE = [
    # what else a night goes by                      what the answer says that it leaves aside
    ({}, "rests, capacity and effects that lots have told"),
    ({"holdout": Holdout(share=0.1)}, "the holdout's lot, rests, capacity and effects that lots have told"),
    ({"household_limit": 1}, "rests, household limits, capacity and effects that lots have told"),
]


@pytest.mark.parametrize(("changed", "said"), LEFT_ASIDE)
def test_what_a_night_goes_by_and_a_day_does_not_is_named(changed: dict[str, Any], said: str) -> None:
    rule = Advice.of(POLICY.model_copy(update=changed), cards.contract()).rule
    assert rule == f"policy small 1.0.0 by the champion's score; leaves aside {said}"


@pytest.mark.parametrize(("role", "said"), [("feature", ""), ("none", " (causes by mood only where the row has them)")])
def test_a_cause_by_a_column_that_callers_are_not_asked_for_is_named(role: str, said: str) -> None:
    mood = replace(cards.COLUMNS[3], name="mood", roles=cards.COLUMNS[3].roles if role == "feature" else ())
    sad = Cause(name="sad", when=(Condition(column="mood", below=3),), keeps=0.5)
    asks = POLICY.model_copy(update={"actions": (CALL.model_copy(update={"causes": (sad,)}),)})
    rule = Advice.of(asks, cards.contract((*cards.COLUMNS, mood))).rule
    assert rule == (
        f"policy small 1.0.0 by the champion's score{said}; "
        "leaves aside rests, capacity and effects that lots have told"
    )
