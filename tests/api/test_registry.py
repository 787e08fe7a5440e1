"""Whoever runs the system sees which model answers for whom; operators move champions, and none moves them unseen."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from api.app import create_app
from churn.contract import parse_contract
from schemas.odcs_text import contract_text
from schemas.users import Role, User
from store.artifacts import model_folder
from store.registry import Promotion, VerdictEntry, Version, open_registry
from store.roles import grant_roles
from store.settings import Settings
from store.tables import engine_for
from tests import cards
from tests.api.lists import customer, publish_list
from tests.api.service import TINY, Ask, promoted, registered, running

PATH = "/api/v1/models"
RISKIER = replace(cards.card(), intercept=-1.0)
WHY = {"why": "found a fault"}


@pytest.fixture
def second(settings: Settings, champion: Version) -> int:
    """A version that the gate let pass, beside the champion."""
    number = registered(settings, RISKIER)
    open_registry(settings).record_verdict(verdict(number, passed=True))
    return number


def verdict(number: int, *, passed: bool) -> VerdictEntry:
    rule = None if passed else "calibration"
    return VerdictEntry(TINY.name, number, "all", 1, "default", "g" * 64, passed, rule, "all is well")


@pytest.fixture
def asked(settings: Settings, second: int) -> Iterator[Ask]:
    with running(create_app(settings, TINY.name)) as ask:
        yield ask


def promote(ask: Ask, version: int, expected: int | None, segment: str = "all", **more: Any) -> httpx.Response:
    body = WHY | {"version": version, "expected": expected} | more
    return ask("POST", f"{PATH}/{segment}/promote", json=body)


def roll_back(ask: Ask, expected: int | None, **more: Any) -> httpx.Response:
    return ask("POST", f"{PATH}/all/rollback", json=WHY | {"expected": expected} | more)


def test_every_version_is_named_with_what_it_answers_for(asked: Ask, champion: Version):
    answer = asked("GET", PATH).json()
    assert answer["contract"] == TINY.name
    told = [(one["version"], one["champion_of"], one["deleted_at"]) for one in answer["models"]]
    assert told == [(1, ["all"], None), (2, [], None)]
    assert answer["models"][0]["digest"] == champion.digest


def test_a_segment_without_a_champion_of_its_own_has_that_of_all(asked: Ask):
    of_all, of_prepaid = (asked("GET", f"{PATH}/{segment}").json() for segment in ("all", "prepaid"))
    assert (of_all["own"], of_prepaid["own"]) == (True, False)
    assert of_all["model"] == of_prepaid["model"]
    assert of_all["since"] == of_prepaid["since"] is not None


def test_an_operator_promotes_a_version_and_the_history_says_who_and_why(asked: Ask):
    answer = promote(asked, 2, 1)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == 2
    assert (answer.json()["gate"], answer.json()["passed"]) == ("default", True)
    moves = asked("GET", f"{PATH}/all/history").json()["moves"]
    assert [(move["from_version"], move["to_version"], move["who"]) for move in moves] == [
        (None, 1, "tests"),
        (1, 2, "tests"),
    ]
    assert moves[-1]["why"] == "found a fault"


def test_asked_twice_a_promotion_is_made_once(asked: Ask):
    assert [promote(asked, 2, 1).status_code for _ in range(2)] == [200, 200]
    assert len(asked("GET", f"{PATH}/all/history").json()["moves"]) == 2


def test_where_the_champion_has_moved_meanwhile_nobody_is_moved(asked: Ask, settings: Settings):
    third = registered(settings, replace(cards.card(), intercept=-3.0))
    open_registry(settings).promote(Promotion(TINY.name, third, 1, "bob", "first", override=True))
    for answer in (promote(asked, 2, 1), roll_back(asked, 1)):
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert answer.json()["detail"].startswith("Version 3 is champion, not version 1.")
    assert asked("GET", f"{PATH}/all").json()["model"]["version"] == third


def test_a_rollback_gives_the_place_to_the_champion_before_and_to_nobody_where_there_was_none(asked: Ask):
    assert roll_back(asked, 1).status_code == 409, "there was none before the first"
    assert promote(asked, 2, 1).status_code == 200
    assert roll_back(asked, 2).json()["model"]["version"] == 1
    assert asked("GET", f"{PATH}/all/history").json()["moves"][-1]["kind"] == "rollback"


def test_what_the_gate_refused_is_promoted_only_by_an_override_that_the_history_keeps(asked: Ask, settings: Settings):
    open_registry(settings).record_verdict(verdict(2, passed=False))
    refused = promote(asked, 2, 1)
    assert (refused.status_code, "calibration" in refused.json()["detail"]) == (409, True)
    assert promote(asked, 2, 1, override=True).status_code == 200
    assert "calibration" in asked("GET", f"{PATH}/all/history").json()["moves"][-1]["overridden"]


def test_a_version_whose_files_were_changed_is_not_promoted(asked: Ask, settings: Settings):
    digest = open_registry(settings).version(TINY.name, 2).digest
    (model_folder(digest, settings) / "model.json").write_text("{}")
    assert promote(asked, 2, 1).status_code == 409
    assert asked("GET", f"{PATH}/all").json()["model"]["version"] == 1


def test_a_version_that_is_not_there_is_not_found(asked: Ask):
    unknown = promote(asked, 99, 1)
    assert unknown.status_code == 404
    assert unknown.json()["detail"] == "There is no version 99. GET /api/v1/models names those that are there."


@pytest.mark.parametrize("segment", ["al", "%F0%9F%92%A9", "'; DROP TABLE alias; --"])
def test_a_segment_that_the_contract_does_not_know_is_not_found(settings: Settings, segment: str):
    known = replace(cards.COLUMNS[1], allowed=("prepaid", "postpaid"))
    contract = parse_contract(contract_text(cards.contract((cards.COLUMNS[0], known, *cards.COLUMNS[2:]))), "tests")
    promoted(settings, contract=contract)
    registered(settings, RISKIER, contract)
    with running(create_app(settings, TINY.name)) as ask:
        answers = [ask("GET", f"{PATH}/{segment}"), ask("GET", f"{PATH}/{segment}/history")]
        answers += [promote(ask, 2, None, segment, override=True)]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert promote(ask, 2, None, "prepaid", override=True).json()["own"] is True


ROLES = [
    # role            looks  moves
    (Role.OPERATOR, 200, 200),
    (Role.ANALYST, 200, 403),
    (Role.SERVICE, 200, 403),
    (Role.AGENT, 403, 403),
]


@pytest.mark.parametrize(("role", "looks", "moves"), ROLES)
def test_operators_alone_move_champions(settings: Settings, second: int, role: Role, looks: int, moves: int):
    with running(create_app(settings, TINY.name), who=User("ada", role)) as ask:
        seen = [ask("GET", path).status_code for path in (PATH, f"{PATH}/all", f"{PATH}/all/history")]
        assert seen == [looks] * 3
        assert promote(ask, second, 1).status_code == moves
        assert roll_back(ask, second).status_code == moves


WRONG = [
    # body                                                   field
    ({"version": 2, "expected": 1}, "why"),
    (WHY | {"version": 2}, "expected"),
    (WHY | {"version": "2", "expected": 1}, "version"),
    (WHY | {"version": True, "expected": 1}, "version"),
    (WHY | {"version": 0, "expected": 1}, "version"),
    (WHY | {"version": 2**31, "expected": 1}, "version"),
    (WHY | {"version": 10**400, "expected": 1}, "version"),
    (WHY | {"version": float("nan"), "expected": 1}, "version"),
    (WHY | {"version": 2, "expected": 1, "override": 1}, "override"),
    (WHY | {"version": 2, "expected": 1, "who": "somebody else"}, "who"),
    ({"why": "a\x00b", "version": 2, "expected": 1}, "why"),
    ({"why": "\ud800 and more", "version": 2, "expected": 1}, "why"),
    ({"why": "x" * 501, "version": 2, "expected": 1}, "why"),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_no_wish_is_refused_by_field(asked: Ask, body: dict[str, Any], field: str):
    given = json.dumps(body)
    answer = asked("POST", f"{PATH}/all/promote", content=given, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, field)
    assert asked("GET", f"{PATH}/all").json()["model"]["version"] == 1


def test_as_the_databases_role_for_services_it_shows_everything_and_moves_nobody(settings: Settings, postgres_url: str):
    owner = replace(settings, database_url=postgres_url)
    promoted(owner)
    number = registered(owner, RISKIER)
    publish_list(owner, [1, 2, 3])
    with running(create_app(as_service(owner), TINY.name)) as ask:
        one = f"/api/v1/customers/{customer(1)}"
        seen = {path: ask("GET", path).status_code for path in (PATH, f"{PATH}/all", f"{PATH}/all/history", one)}
        seen |= {path: ask("GET", path).status_code for path in (f"{one}/history", f"{one}?live=true")}
        moved = [promote(ask, number, 1, override=True), roll_back(ask, 1, to=1)]
    assert set(seen.values()) == {200}, seen
    assert moved[0].status_code == 403
    assert "churn model" in moved[0].json()["detail"]
    assert open_registry(owner).resolve(TINY.name).version == 1


def as_service(owner: Settings) -> Settings:
    """The settings of a user of the database who has the service's role alone."""
    url, name = make_url(owner.database_url), f"web_{secrets.token_hex(4)}"
    engine = engine_for(owner.database_url)
    role = grant_roles(engine, name)["service"]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{name}' IN ROLE {role}")
    engine.dispose()
    return replace(owner, database_url=url.set(username=name, password=name).render_as_string(hide_password=False))
