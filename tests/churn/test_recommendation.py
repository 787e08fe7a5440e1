"""One customer is recommended what the night would offer him: the same action, the same money, the same sentence."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.actions import NO_ACTION, offers, sentences
from churn.recommendation import Advice, Trouble
from schemas.columns import Column, LogicalType, Role
from schemas.policy import Action, Cause, Condition, CustomerValue, Policy, Suppression
from tests import cards
from tests.policies import small_policy

CONTRACT = cards.contract()
TENURE, PAIR = Trouble("tenure", "tenure: 2 months"), Trouble("tenure & plan", "tenure: 2 months and plan: P3")


def action(name: str, *answers: str, channel: str = "phone", cost: float = 1.0, keep: float = 0.3) -> Action:
    says = "Speak of {reason}." if answers else "Speak."
    fields = {"offer_cost": cost, "contact_cost": 0.5, "keep_probability": keep, "answers": answers, "says": says}
    return Action(name=name, channel=channel, **fields)


def policy(*actions: Action, **changed: object) -> Policy:
    return small_policy().model_copy(update={"actions": actions, **changed})


ACTIONS = (action("welcome", "tenure"), action("plan", "plan", cost=3.0, keep=0.5), action("gift", cost=12.0, keep=0.7))


def test_it_is_what_the_night_would_offer_the_same_customer():
    rows, titles = drawn(400), Advice.of(policy(*ACTIONS), CONTRACT).titles
    advice = Advice.of(policy(*ACTIONS), CONTRACT)
    table = pa.Table.from_pylist(rows)
    best = offers(table, np.array([row["bill"] * 12 for row in rows]), policy(*ACTIONS))
    told = [sentences(table, each, titles).to_pylist() for each in ACTIONS]
    seen = set()
    for place, row in enumerate(rows):
        number = int(best.action[place, 0])
        found = advice.best(row["probability"], row, reasons_of(row))
        if number == NO_ACTION or best.worth[place, 0] <= 0:
            assert found is None
        else:
            assert found is not None
            assert (found.action, found.expected_value) == (ACTIONS[number], best.worth[place, 0])
            assert found.says == told[number][place]
        seen.add(found and found.action.name)
    assert seen == {None, "welcome", "plan", "gift"}


CAUSES = tuple(
    Cause(name=name, when=tuple(Condition(**condition) for condition in when), keeps=keeps, says=says)
    for name, when, keeps, says in (
        (
            "young_and_dear",
            [{"column": "tenure", "below": 6}, {"column": "plan", "equals": "P3"}],
            0.6,
            "Go through it.",
        ),
        ("old", [{"column": "tenure", "at_least": 20}], -0.1, None),
        ("unbound", [{"column": "in_contract", "missing": True}], 0.4, None),
    )
)
BY_CAUSES = (action("call", cost=2.0).model_copy(update={"causes": CAUSES}), action("gift", cost=12.0, keep=0.35))


def test_by_causes_too_it_is_what_the_night_would_offer_the_same_customer():
    customers, asked = cards.customers(400), policy(*BY_CAUSES)
    risk = np.random.default_rng(2).beta(1, 6, 400)
    table = customers.append_column("probability", pa.array(risk))
    best, advice = offers(table, np.asarray(customers["bill"]) * 12, asked), Advice.of(asked, CONTRACT)
    told = sentences(table.append_column("cause", pa.array(best.cause[:, 0])), BY_CAUSES[0], advice.titles).to_pylist()
    seen = set()
    for place, row in enumerate(customers.to_pylist()):
        number, found = int(best.action[place, 0]), advice.best(float(risk[place]), row, [])
        assert (found is None) == (number == NO_ACTION or best.worth[place, 0] <= 0)
        if found is not None:
            assert (found.action, found.expected_value) == (BY_CAUSES[number], best.worth[place, 0])
            assert found.says == (told[place] if number == 0 else "Speak.")
            seen.add((found.action.name, found.says))
    assert seen == {("call", "Go through it."), ("call", "Speak."), ("gift", "Speak.")}


def drawn(count: int) -> list[dict[str, object]]:
    dice = np.random.default_rng(1)
    names = np.array(["tenure", "plan", "dropped", "tenure & plan", "dropped & plan"], object)
    rows = []
    for _ in range(count):
        mine = dice.permutation(names)[:3].tolist()
        row = {"probability": float(dice.beta(1, 6)), "bill": float(dice.gamma(2, 8))}
        for place, name in enumerate(mine, start=1):
            row |= {f"reason_{place}_feature": name, f"reason_{place}_value": f"{name}: such"}
        rows.append(row)
    return rows


def reasons_of(row: dict[str, object]) -> list[Trouble]:
    return [Trouble(str(row[f"reason_{place}_feature"]), str(row[f"reason_{place}_value"])) for place in (1, 2, 3)]


WITHOUT = [
    # bill     what the policy asks for        why there is nothing to recommend
    (None, {}),  # what the customer is worth is not known
    (float("inf"), {}),
    (1e-3, {}),  # he is worth less than the contact costs
    (30.0, {"minimum_expected_value": 1e6}),
    (30.0, {"customer_value": CustomerValue(column="margin")}),  # a column that the row does not have
]


@pytest.mark.parametrize(("bill", "changed"), WITHOUT)
def test_where_nothing_pays_nothing_is_recommended(bill, changed):
    advice = Advice.of(policy(action("call", "tenure"), **changed), CONTRACT)
    assert advice.best(0.5, {"bill": bill}, [TENURE]) is None


SPARED = [
    # what the row says                      spared
    ({"consent": False}, True),
    ({"consent": None}, True),  # of whom nothing is known may not be contacted
    ({"consent": True}, False),
    ({"asleep": True}, True),
    ({"asleep": None}, False),  # no consent: what is not known spares nobody
    ({}, False),  # a caller who does not say is not asked
]


@pytest.mark.parametrize(("said", "spared"), SPARED)
def test_who_is_to_be_left_alone_is_recommended_nothing(said, spared):
    consent = Column("consent", LogicalType.BOOLEAN, "consent", roles=(Role.CONSENT,))
    rules = tuple(
        Suppression(status=f"no_{column}", column=column, equals=value, because="so it is")
        for column, value in (("consent", False), ("asleep", True))
    )
    advice = Advice.of(policy(action("call", "tenure"), suppress=rules), cards.contract((*cards.COLUMNS, consent)))
    assert (advice.best(0.5, {"bill": 30.0, **said}, [TENURE]) is None) is spared


def test_an_action_that_answers_no_reason_is_not_recommended():
    advice = Advice.of(policy(action("call", "tenure")), CONTRACT)
    assert advice.best(0.5, {"bill": 30.0}, [Trouble("plan", "plan: P3")]) is None
    assert advice.best(0.5, {"bill": 30.0}, []) is None


def test_of_a_pair_the_agent_reads_no_more_than_the_title_of_the_half_that_is_answered():
    advice = Advice.of(policy(action("call", "plan")), CONTRACT)
    found = advice.best(0.5, {"bill": 30.0}, [TENURE, PAIR])
    assert found is not None
    assert found.says == "Speak of plan."
