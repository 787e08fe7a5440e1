"""The same customer with something changed: both scores, and terms that account for the difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from api.app import create_app
from churn.lookup import score_one
from schemas.users import Role, User
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.lists import DECIDED, publish_status
from tests.api.service import TINY, Ask, promoted, publish, running, scored
from tests.api.snapshots import publish_with_snapshot
from tests.api.test_audit import looks

NIGHT = date(2026, 1, 1)
ROWS = cards.customers(20)
PATH = "/api/v1/customers/C000003/what-if"
(ROW,) = [row for row in ROWS.to_pylist() if row["customer_id"] == "C000003"]


@pytest.fixture
def asked(settings: Settings, champion: Version) -> Iterator[Ask]:
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    with running(create_app(settings, TINY.name)) as ask:
        yield ask


def answered(ask: Ask, **changes: Any) -> dict[str, Any]:
    answer = ask("POST", PATH, json={"changes": changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


CHANGES = [
    {"tenure": 12},
    {"tenure": 1, "plan": "P1"},
    {"in_contract": True, "dropped": 0.2, "plan": None},
    {"bill": 500.0},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_both_scores_are_those_of_the_model_to_the_bit_and_the_terms_say_what_moved(asked: Ask, changes):
    answer = answered(asked, **changes)
    before, after = (score_one(cards.card(), row).log_odds for row in (ROW, ROW | changes))
    assert (answer["before"]["log_odds"], answer["after"]["log_odds"]) == (before, after)
    assert sum(term["log_odds"] for term in answer["moved"]) == pytest.approx(after - before, abs=1e-12)
    features = {name for name in changes if name != "bill" and ROW[name] != changes[name]}
    assert {one["feature"] for one in answer["changed"]} == features
    assert all(set(term["feature"].split(" & ")) & features for term in answer["moved"])
    sizes = [abs(term["log_odds"]) for term in answer["moved"]]
    assert sizes == sorted(sizes, reverse=True)


def test_who_changes_nothing_moves_nothing(asked: Ask):
    answer = answered(asked, tenure=ROW["tenure"])
    assert (answer["changed"], answer["moved"]) == ([], [])
    assert answer["before"] == answer["after"]


def test_in_another_segment_another_champion_scores(settings: Settings, champion: Version):
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    other = next(segment for segment in ("prepaid", "postpaid") if segment != ROW["segment"])
    promoted(settings, replace(cards.card(), intercept=-1.0), segment=other)
    with running(create_app(settings, TINY.name)) as ask:
        answer = answered(ask, segment=other)
    assert [answer[when]["model"]["version"] for when in ("before", "after")] == [1, 2]
    assert answer["moved"] == []


@pytest.mark.parametrize(("status", "is_recommended"), DECIDED)
def test_whom_the_nights_list_leaves_alone_is_recommended_nothing(
    settings: Settings, asked: Ask, status: str, is_recommended: bool
):
    publish_status(settings, "C000003", status)
    answer = answered(asked, bill=500.0)
    assert (answer["after"]["recommended"] is not None) is is_recommended


WRONG = [
    # body                                         status  field
    ({"changes": {"tenure": -1}}, 422, "tenure"),
    ({"changes": {"tenure": True}}, 422, "tenure"),
    ({"changes": {"tenure": 10**400}}, 422, "tenure"),
    ({"changes": {"dropped": float("nan")}}, 400, None),
    ({"changes": {"plan": 3}}, 422, "plan"),
    ({"changes": {"shoe_size": 43}}, 422, "shoe_size"),
    ({"changes": {"customer_id": "C000004"}}, 422, "customer_id"),
    ({"changes": {}}, 422, "changes"),
    ({"changes": []}, 422, "changes"),
    ({"changes": {str(number): 1 for number in range(101)}}, 422, "changes"),
    ({}, 422, "changes"),
    ({"changes": {"tenure": 1}, "is_admin": True}, 422, "is_admin"),
    ({"changes": {"plan": "\ud800"}}, 400, None),
]


@pytest.mark.parametrize(("body", "status", "field"), WRONG, ids=lambda value: str(value)[:34])
def test_what_no_customer_can_have_is_refused_by_field(asked: Ask, body: Any, status: int, field: str | None):
    answer = asked("POST", PATH, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) in [
        (status, "application/problem+json"),
        (422, "application/problem+json"),
    ]
    if field:
        assert answer.json()["fields"][0]["field"] == field


def test_a_what_if_stands_in_the_log_and_a_refusal_does_not(settings: Settings, champion: Version):
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    for who, status in ((User("ada", Role.AGENT), 200), (User("bob", Role.AGENT, ("another",)), 404)):
        with running(create_app(settings, TINY.name), who=who) as ask:
            assert ask("POST", PATH, json={"changes": {"tenure": 1}}).status_code == status
    assert [(who, what) for who, _, what, _ in looks(settings)] == [("ada", "what-if")]


def test_without_a_snapshot_nobody_can_tell(settings: Settings, champion: Version):
    publish(settings, "scores", NIGHT, scores=scored(ROWS, champion, NIGHT))
    with running(create_app(settings, TINY.name)) as ask:
        assert ask("POST", PATH, json={"changes": {"tenure": 1}}).status_code == 404


def test_the_openapi_document_has_the_columns_of_the_champions_contract(asked: Ask):
    shapes = asked("GET", "/openapi.json").json()["components"]["schemas"]
    assert shapes["Changes"]["properties"] == shapes["Customer"]["properties"]
    assert "required" not in shapes["Changes"]
