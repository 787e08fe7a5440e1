"""Whoever answers for a decision sees all that led to it; an agent sees what he may say, and nobody sees another's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from api.admission import lanes
from api.app import create_app
from churn.contract import parse_contract
from schemas.odcs_text import contract_text
from schemas.users import Role, User
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, Ask, promoted, running
from tests.api.snapshots import publish_with_snapshot
from tests.api.test_audit import looks
from tests.homes import Homes
from tests.house.test_house_rules import ROOT

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
PATH = "/api/v1/customers/C000003/receipt"
# Of the features only the plan can be acted on.
COLUMNS = tuple(replace(column, actionable=column.name == "plan") for column in cards.COLUMNS)
CONTRACT = parse_contract(contract_text(cards.contract(COLUMNS)), where="tests")


@pytest.fixture
def nights(settings: Settings, homes: Homes) -> Version:
    return homes.fill(settings, "two nights with snapshots", publish_nights)


def publish_nights(settings: Settings) -> Version:
    champion = promoted(settings, contract=CONTRACT)
    for as_of, seed in ((FIRST, 1), (SECOND, 2)):
        publish_with_snapshot(settings, champion, cards.customers(20, seed), as_of, CONTRACT)
    return champion


def asked_by(settings: Settings, role: Role, path: str = PATH, **limits: Any) -> Any:
    with running(create_app(settings, TINY.name), who=User("ada", role, **limits)) as ask:
        return ask("GET", path)


@pytest.fixture
def ask(settings: Settings, nights: Version) -> Iterator[Ask]:
    with running(create_app(settings, TINY.name)) as asked:
        yield asked


def test_the_terms_of_a_receipt_add_up_to_the_published_score_to_the_bit(ask: Ask, nights: Version):
    answer = ask("GET", PATH).json()
    total = answer["score"]["intercept"]
    for term in answer["score"]["terms"]:
        total += term["log_odds"]
    shown = ask("GET", "/api/v1/customers/C000003").json()
    assert total == answer["score"]["log_odds"] == shown["log_odds"]
    assert "score.log_odds" in answer["recomputed"]
    assert answer["score"]["model_digest"] == nights.digest
    assert {fact["column"] for fact in answer["facts"]} >= {"tenure", "plan"}


def test_the_newest_night_is_told_unless_another_is_asked_for(ask: Ask):
    newest, first = (ask("GET", f"{PATH}{query}").json() for query in ("", "?as_of=2026-01-01"))
    assert (newest["as_of"], first["as_of"]) == ("2026-01-02", "2026-01-01")
    assert newest["score"]["log_odds"] != first["score"]["log_odds"]


def test_every_time_of_a_receipt_has_its_offset(ask: Ask):
    assert ask("GET", PATH).json()["known_at"].endswith("T00:00:00Z")


@pytest.mark.parametrize("role", [Role.AGENT, Role.SERVICE])
def test_an_agent_reads_no_figure_and_no_reason_that_cannot_be_acted_on(
    settings: Settings, nights: Version, role: Role
):
    answer = asked_by(settings, role).json()
    assert set(answer) == {"customer_id", "as_of", "action", "channel", "agent_says", "reasons"}
    assert all("plan" in reason for reason in answer["reasons"])
    assert not any("tenure:" in reason or "dropped" in reason for reason in answer["reasons"])


def test_whose_customer_somebody_is_now_says_who_reads_his_old_receipts_too(settings: Settings, nights: Version):
    before, now = (cards.customers(20, seed)["segment"].to_pylist() for seed in (1, 2))
    moved = next(number for number in range(20) if (before[number], now[number]) == ("prepaid", "postpaid"))
    path = f"/api/v1/customers/C{moved:06d}/receipt?as_of={FIRST}"
    statuses = {
        one: asked_by(settings, Role.AGENT, path, segments=(one,)).status_code for one in ("prepaid", "postpaid")
    }
    assert statuses == {"prepaid": 404, "postpaid": 200}


def test_a_receipt_stands_in_the_log_and_a_refusal_does_not(settings: Settings, nights: Version):
    assert asked_by(settings, Role.ANALYST).status_code == 200
    assert asked_by(settings, Role.AGENT, segments=("another",)).status_code == 404
    assert asked_by(settings, Role.AGENT, regions=("R01",)).status_code == 404
    assert [what for _, _, what, _ in looks(settings)] == ["receipt"]


@pytest.mark.parametrize("path", [PATH.replace("C000003", "C999999"), f"{PATH}?as_of=2025-12-31"])
def test_what_was_never_scored_has_no_receipt(ask: Ask, path: str):
    answer = ask("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("as_of", ["tomorrow", "1", "2026-13-01", "20260101T00", "%00", "9" * 400, "NaN"])
def test_what_is_no_date_is_refused(ask: Ask, as_of: str):
    answer = ask("GET", f"{PATH}?as_of={as_of}")
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "as_of")


LANES = [
    # path                          lane
    ("", "look-ups"),
    ("/history", "look-ups"),
    ("/receipt", "inquiries"),
    ("/what-if", "inquiries"),
]


@pytest.mark.parametrize(("path", "lane"), LANES)
def test_what_takes_seconds_holds_no_look_up_up(path: str, lane: str):
    assert next(one.name for one in lanes() if one.leads(f"/api/v1/customers/C1{path}")) == lane


def test_a_receipt_costs_a_worker_no_compiler(settings: Settings, nights: Version):
    code = f"""
import sys
from tests.api.test_receipts import PATH, Role, asked_by
from store.settings import read_settings
settings = read_settings({{"CHURN_HOME": {str(settings.data.parent)!r}, "CHURN_MODE": "development"}})
print(asked_by(settings, Role.OPERATOR).status_code, "numba" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert told.splitlines()[-1] == "200 False"
