"""A batch says of each customer what a prediction of him alone says, and who is refused keeps nobody else from it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.batch import MOST_CUSTOMERS
from api.deadline import LARGEST_BATCH
from schemas.messages import ASKED, example_of
from schemas.users import Role, User
from store.contracts import read_contract
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, Ask, promoted, registered, running

ROOT = Path(__file__).parent.parent.parent
PATH = "/api/v1/predictions/batch"
CUSTOMER = {"customer_id": "C1", "bill": 31.5, "tenure": 12, "dropped": 0.03, "in_contract": False, "plan": "P2"}


def answered(ask: Ask, *customers: Any) -> dict[str, Any]:
    answer = ask("POST", PATH, json={"customers": customers})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_answer_is_that_of_the_customer_alone_to_the_bit(settings: Settings, champion: Version):
    promoted(settings, replace(cards.card(), intercept=-1.0, base_rate=0.2), segment="prepaid")
    customers = cards.customers(60).to_pylist()
    with running(create_app(settings, TINY.name)) as ask:
        alone = [ask("POST", "/api/v1/predictions", json=customer).json() for customer in customers]
        together = answered(ask, *customers)
    assert together["predictions"] == [{"index": place, **answer} for place, answer in enumerate(alone)]
    assert {answer["model"]["version"] for answer in alone} == {1, 2}, "both champions were asked"
    assert together["refused"] == []
    assert together["model"] == {"version": 1, "digest": champion.digest}


REFUSED = [
    # row                                   field           why
    ({"tenure": -1}, "tenure", "greater than or equal to 0"),
    ({"tenure": 10**400}, "tenure", "less than or equal to 9007199254740991"),
    ({"dropped": 10**400}, "dropped", "number"),
    ({"tenure": True}, "tenure", "must be a number"),
    ({"plan": 2}, "plan", "valid string"),
    ({"is_admin": True}, "is_admin", "Extra inputs"),
]


@pytest.mark.parametrize(("bad", "field", "why"), REFUSED, ids=lambda value: str(value)[:20])
def test_a_bad_customer_is_refused_by_place_and_field_and_the_others_are_scored(ask: Ask, bad, field, why):
    answer = answered(ask, CUSTOMER, CUSTOMER | bad, CUSTOMER | {"customer_id": "C3"})
    assert [one["index"] for one in answer["predictions"]] == [0, 2]
    (refused,) = answer["refused"]
    assert refused["index"] == 1
    assert refused["problems"][0]["field"] == field
    assert why in refused["problems"][0]["problem"]


@pytest.mark.parametrize("row", [None, 1, "C1", [], [CUSTOMER], {}])
def test_what_is_no_customer_is_refused_by_itself(ask: Ask, row: Any):
    answer = answered(ask, row, CUSTOMER)
    assert [one["index"] for one in answer["refused"]] == [0]
    assert [one["index"] for one in answer["predictions"]] == [1]


def test_where_nobody_can_be_scored_all_are_refused_in_a_short_answer(ask: Ask):
    strange = {f"{number:03d}{'x' * 100}": 1 for number in range(200)}
    answer = ask("POST", PATH, json={"customers": [strange] * 10})
    assert answer.status_code == 200
    assert len(answer.json()["refused"]) == 10
    assert len(answer.content) < 10_000


def test_a_refusal_does_not_repeat_what_was_given(ask: Ask):
    answer = ask("POST", PATH, json={"customers": [CUSTOMER | {"tenure": "born in Ghent", "plan": ["a secret"]}]})
    assert len(answer.json()["refused"][0]["problems"]) == 2
    assert not [given for given in ("Ghent", "secret") if given in answer.text]


WRONG = [
    # body                                     status  field
    (b'{"customers": []}', 422, "customers"),
    (b'{"customers": {}}', 422, "customers"),
    (json.dumps({"customers": [{}] * 1_001}).encode(), 422, "customers"),
    (b'{"customers": [{}], "is_admin": true}', 422, "is_admin"),
    (b"{}", 422, "customers"),
    (b"[]", 422, "body"),
    (b"{", 400, None),
    (b'{"customers": [{"plan": "\\ud800"}]}', 400, None),
    (b'{"customers": [' + b"[" * 50 + b"]" * 50 + b"]}", 400, None),
]


@pytest.mark.parametrize(("body", "status", "field"), WRONG, ids=lambda value: str(value)[:24])
def test_what_is_no_batch_is_refused_whole(ask: Ask, body: bytes, status: int, field: str | None):
    answer = ask("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if field:
        assert answer.json()["fields"][0]["field"] == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_without_end_is_scored_for_nobody(ask: Ask, number: str):
    body = f'{{"customers": [{{"dropped": {number}}}]}}'
    answer = ask("POST", PATH, content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400)
    assert answer.status_code == 400 or answer.json()["predictions"] == []


def test_a_batch_may_be_larger_than_one_customer_and_not_larger_than_two_mebibytes(ask: Ask):
    many = [CUSTOMER | {"customer_id": f"C{number:0100d}"} for number in range(1_000)]
    assert len(answered(ask, *many)["predictions"]) == 1_000
    huge = ask("POST", PATH, json={"customers": [CUSTOMER | {"customer_id": "C" * (2 << 20)}]})
    assert huge.status_code == 413


def test_a_thousand_customers_with_every_column_are_no_more_than_a_batch_may_be():
    one = {column.name: example_of(column) for column in read_contract("telco").customer.with_role(*ASKED)}
    assert len(json.dumps({"customers": [one] * MOST_CUSTOMERS})) < 0.75 * LARGEST_BATCH


def test_an_operator_may_ask_another_version_for_a_batch(settings: Settings, champion: Version):
    number = registered(settings, replace(cards.card(), intercept=-1.0))
    for who, status in ((User("ada", Role.OPERATOR), 200), (User("bob", Role.SERVICE), 403)):
        with running(create_app(settings, TINY.name), who=who) as ask:
            answer = ask("POST", f"{PATH}?model_version={number}", json={"customers": [CUSTOMER]})
            assert answer.status_code == status
            assert status != 200 or answer.json()["predictions"][0]["model"]["version"] == number


def test_a_batch_needs_no_pandas_and_no_compiler(settings: Settings, champion: Version):
    code = f"""
import sys
from datetime import date
from api.app import create_app
from api.batch import predict_batch
from schemas.users import Role, User
from store.settings import read_settings
settings = read_settings({{"CHURN_HOME": {str(settings.data.parent)!r}, "CHURN_MODE": "development"}})
champions = create_app(settings, {TINY.name!r}).state.place.pin()
assert len(predict_batch([{CUSTOMER!r}] * 3, champions, date(2026, 1, 1), User('ada', Role.AGENT)).predictions) == 3
print([name for name in ("pandas", "numba", "sklearn", "pyarrow.compute") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
