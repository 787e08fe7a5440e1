"""A prediction is to the bit what the night writes for the same row, and nothing the contract forbids is scored."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.app import create_app
from churn.lookup import score_one
from churn.scoring import bands
from schemas.users import Role, User
from store.artifacts import model_folder
from store.registry import Version, open_registry
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, Ask, promoted, registered, running, scored

CUSTOMER = {"customer_id": "C1", "bill": 31.5, "tenure": 12, "dropped": 0.03, "in_contract": False, "plan": "P2"}
ROOT = Path(__file__).parent.parent.parent
PATH = "/api/v1/predictions"


def predicted(ask: Ask, customer: dict[str, Any]) -> dict[str, Any]:
    answer = ask("POST", PATH, json=customer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_prediction_is_the_score_table_row_of_the_same_customer_to_the_bit(
    ask: Ask, settings: Settings, champion: Version
):
    rows = cards.customers(300)
    for customer, row in zip(rows.to_pylist(), scored(rows, champion).to_pylist(), strict=True):
        assert predicted(ask, customer) == {
            **{name: row[name] for name in ("customer_id", "probability", "log_odds", "band")},
            "reasons": told(row, "reason_1", "reason_2", "reason_3"),
            "reliefs": told(row, "relief_1"),
            "model": {"version": 1, "digest": champion.digest},
            "as_of": datetime.now(settings.zone).date().isoformat(),
            "recommended": offered(customer, row),
        }


def offered(customer: dict[str, Any], row: dict[str, Any]) -> dict[str, Any] | None:
    """What the policy that ships for contracts without one of their own says: ten a year, for whoever is worth it."""
    worth = row["probability"] * 0.3 * (customer["bill"] * 12 - 10) - (1 - row["probability"]) * 10 - 1
    says = "Ask what would make the customer stay, and offer up to 10 a year."
    answer = {"action": "offer", "channel": "phone", "expected_value": pytest.approx(worth), "agent_says": says}
    answer["rule"] = (
        "policy default 2.0.2 by the champion's score; "
        "leaves aside the holdout's lot, rests, capacity and effects that lots have told"
    )
    return answer if worth > 0 else None


SEGMENTS = [
    # segment      version
    ("prepaid", 2),
    ("postpaid", 1),
    ("hybrid", 1),
    (None, 1),
]


@pytest.mark.parametrize(("segment", "version"), SEGMENTS)
def test_the_champion_of_the_customers_segment_answers(settings: Settings, champion: Version, segment, version):
    riskier = replace(cards.card(), intercept=-1.0, base_rate=0.2)
    of_prepaid = promoted(settings, riskier, segment="prepaid")
    card, stamp = {1: (cards.card(), champion), 2: (riskier, of_prepaid)}[version]
    with running(create_app(settings, TINY.name)) as ask:
        answer = predicted(ask, CUSTOMER | {"segment": segment})
    assert answer["model"] == {"version": version, "digest": stamp.digest}
    assert answer["log_odds"] == score_one(card, CUSTOMER).log_odds
    assert answer["band"] == bands(np.array([answer["probability"]]), card.base_rate).to_pylist()[0]


def test_an_operator_may_ask_another_version_than_the_champion(settings: Settings, champion: Version):
    registered(settings, replace(cards.card(), intercept=-1.0))
    with running(create_app(settings, TINY.name)) as ask:
        answers = [ask("POST", f"{PATH}?model_version={number}", json=CUSTOMER).json() for number in (2, 1, 2)]
        of_champion = predicted(ask, CUSTOMER)
    assert [answer["model"]["version"] for answer in answers] == [2, 1, 2]
    assert answers[0] == answers[2]
    assert answers[1] == of_champion
    assert answers[0]["log_odds"] == pytest.approx(of_champion["log_odds"] + 1.0)


def test_a_version_that_is_not_there_any_more_is_not_found_also_where_it_was_asked_before(
    settings: Settings, champion: Version
):
    number = registered(settings, replace(cards.card(), intercept=-1.0))
    with running(create_app(settings, TINY.name)) as ask:
        asked = f"{PATH}?model_version={number}"
        assert ask("POST", asked, json=CUSTOMER).status_code == 200
        open_registry(settings).delete(TINY.name, number, who="tests", why="no use")
        assert ask("POST", asked, json=CUSTOMER).status_code == 404
        assert ask("POST", f"{PATH}?model_version=99", json=CUSTOMER).status_code == 404


def test_a_version_whose_files_were_changed_is_not_used(settings: Settings, champion: Version):
    number = registered(settings, replace(cards.card(), intercept=-1.0))
    digest = open_registry(settings).version(TINY.name, number).digest
    (model_folder(digest, settings) / "model.json").write_text("{}")
    with running(create_app(settings, TINY.name)) as ask:
        assert ask("POST", f"{PATH}?model_version={number}", json=CUSTOMER).status_code == 503
        assert predicted(ask, CUSTOMER)["model"]["version"] == 1


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_nobody_but_operators_may_choose_a_model(settings: Settings, champion: Version, role: Role):
    with running(create_app(settings, TINY.name), who=User("ada", role)) as ask:
        assert ask("POST", f"{PATH}?model_version=1", json=CUSTOMER).status_code == 403
        assert ask("POST", PATH, json=CUSTOMER).status_code == 200


@pytest.mark.parametrize("version", ["0", "-1", "x", "1e3", str(2**31), str(10**400), "%00"])
def test_what_can_be_no_version_is_refused(ask: Ask, version: str):
    answer = ask("POST", f"{PATH}?model_version={version}", json=CUSTOMER)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "model_version")


def told(row: dict[str, Any], *places: str) -> list[dict[str, Any]]:
    found = [{part: row[f"{place}_{part}"] for part in ("feature", "value", "log_odds")} for place in places]
    return [reason for reason in found if reason["feature"] is not None]


def test_the_strongest_reasons_come_first(ask: Ask):
    answer = predicted(ask, CUSTOMER)
    assert [reason["feature"] for reason in answer["reasons"]] == ["tenure", "in_contract", "plan"]
    assert answer["reliefs"] == []


def test_an_answer_needs_no_pandas(settings: Settings, champion: Version):
    """Arrow imports pandas with the first array that it makes, and a process would pay for it with its first answer."""
    code = f"""
import sys
from datetime import date
from api.app import create_app
from api.predictions import predicted
from store.settings import read_settings
settings = read_settings({{"CHURN_HOME": {str(settings.data.parent)!r}, "CHURN_MODE": "development"}})
champion = create_app(settings, {TINY.name!r}).state.place.pin()
assert b"agent_says" in predicted(champion.customer(customer_id="C1", bill=300.0), champion, date(2026, 1, 1))
print([name for name in ("pandas", "numba", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_left_out_is_scored_as_unknown(ask: Ask):
    nothing_known = dict.fromkeys(feature.name for feature in cards.card().features)
    assert predicted(ask, {"customer_id": "C1"})["log_odds"] == score_one(cards.card(), nothing_known).log_odds


REFUSED = [
    # field        given            why
    ("tenure", -1, "greater than or equal to 0"),
    ("tenure", "12", "must be a number"),
    ("tenure", True, "must be a number"),
    ("tenure", 10**400, "less than or equal to 9007199254740991"),
    ("dropped", 10**400, "finite number"),
    ("dropped", float("nan"), "finite number"),
    ("dropped", float("inf"), "finite number"),
    ("in_contract", "no", "valid boolean"),
    ("plan", 2, "valid string"),
    ("is_admin", True, "Extra inputs"),
]


@pytest.mark.parametrize(("field", "given", "why"), REFUSED, ids=lambda value: str(value)[:20])
def test_what_the_contract_forbids_is_refused_by_field(ask: Ask, field: str, given: object, why: str):
    body = json.dumps(CUSTOMER | {field: given})
    answer = ask("POST", PATH, content=body, headers={"content-type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["status"], problem["detail"]) == (422, "1 field is wrong. Correct what `fields` names.")
    assert [refused["field"] for refused in problem["fields"]] == [field]
    assert why in problem["fields"][0]["problem"]


def test_a_refusal_does_not_repeat_what_was_given(ask: Ask):
    answer = ask("POST", PATH, json=CUSTOMER | {"tenure": "born in Ghent", "plan": ["a secret"], "bill": "too much"})
    assert len(answer.json()["fields"]) == 3
    assert not [given for given in ("Ghent", "secret", "too much") if given in answer.text]


def test_a_flood_of_unknown_fields_gets_a_short_answer(ask: Ask):
    answer = ask("POST", PATH, json=CUSTOMER | {f"{number:03d}{'x' * 200}": 1 for number in range(250)})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "250 fields are wrong. Correct what `fields` names, which are the first."
    assert len(answer.content) < 4_000


@pytest.mark.parametrize("body", [b"", b"{", b"tenure=1", b'{"plan": "\\ud800"}', b"\xff{}", b"[" * 5_000])
def test_a_body_that_is_no_json_is_a_bad_request(ask: Ask, body: bytes):
    answer = ask("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_a_body_of_another_kind_is_refused(ask: Ask):
    assert ask("POST", PATH, data=CUSTOMER).status_code == 415


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_more_than_64_kib_is_refused_whether_or_not_it_says_so(ask: Ask, declared: bool):
    whole = json.dumps({"customer_id": "C" * 70_000}).encode()
    body = whole if declared else in_parts(whole)
    answer = ask("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["status"] == 413


async def in_parts(whole: bytes) -> Any:
    for start in range(0, len(whole), 10_000):
        yield whole[start : start + 10_000]


def test_the_openapi_document_has_the_customer_of_the_champions_contract(ask: Ask):
    document = ask("GET", "/openapi.json").json()
    customer = document["components"]["schemas"]["Customer"]
    assert set(customer["properties"]) == set(cards.customers(1).column_names)
    assert {"type": "integer", "minimum": 0, "maximum": 2**53 - 1} in customer["properties"]["tenure"]["anyOf"]
    asked = document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert asked == {"$ref": "#/components/schemas/Customer"}
    assert "Problem" in document["components"]["schemas"]


# what is sent besides a good customer
SENT: dict[str, dict[str, Any]] = {
    "a customer": {"json": CUSTOMER},
    "no token": {"json": CUSTOMER, "headers": {"authorization": ""}},
    "another's token": {"json": CUSTOMER, "headers": {"authorization": "Bearer x.y.z"}},
    "no JSON": {"content": b"{", "headers": {"content-type": "application/json"}},
    "another type": {"content": b"{}", "headers": {"content-type": "text/plain"}},
    "a field that is none": {"json": {**CUSTOMER, "is_admin": True}},
    "a number in disguise": {"json": {**CUSTOMER, "bill": "31.5"}},
    "nothing": {"content": b""},
}


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_the_quick_way_answers_as_the_way_through_the_framework(ask: Ask, sent: dict[str, Any]):
    quick, walked = ask("POST", PATH, **sent), ask("POST", f"{PATH}?nothing=1", **sent)
    assert quick.status_code == walked.status_code
    assert without_number(quick.json()) == without_number(walked.json())
    assert {*quick.headers} == {*walked.headers}
    assert quick.content == walked.content or quick.status_code != 200


def without_number(answer: dict[str, Any]) -> dict[str, Any]:
    """What does not differ between two requests."""
    return {name: value for name, value in answer.items() if name not in ("request_id", "instance")}


def test_the_quick_way_is_limited_too(settings: Settings, champion: Version):
    with running(create_app(replace(settings, rates={"predictions": 6}), contract=TINY.name)) as ask:
        said = [ask("POST", PATH, json=CUSTOMER).status_code for _ in range(8)]
    assert 429 in said
    assert said[0] == 200
