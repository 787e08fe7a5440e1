"""A body that names a field twice is refused wherever JSON is taken, and any other is not."""

from __future__ import annotations

import json

import pytest

from api.each_once import TWICE, names_twice
from tests.api.service import Ask

CUSTOMER = '{"customer_id": "C1", "tenure": 3%s}'
ROUTES = [
    # path                                       body, in which something may stand twice       what
    ("/api/v1/predictions", CUSTOMER, ', "tenure": 4'),
    ("/api/v1/predictions?model_version=1", CUSTOMER, ', "tenure": 4'),
    ("/api/v1/predictions/batch", '{"customers": [{"customer_id": "C1"}, ' + CUSTOMER + "]}", ', "tenure": 3'),
    ("/api/v1/customers/C1/what-if", '{"changes": {"tenure": 3%s}}', ', "tenure": 4'),
    ("/api/v1/jobs", '{"customer_ids": ["C1"]%s}', ', "customer_ids": ["C2"]'),
    ("/api/v1/jobs", '{"rows": [{"tenure": 3%s}]}', ', "\\u0074enure": 4'),
    ("/api/v1/interventions", '{"interventions": []%s}', ', "interventions": []'),
    ("/api/v1/outreach/handover", '{"as_of": "2026-01-01"%s}', ', "as_of": "2026-01-02"'),
    ("/api/v1/models/all/promote", '{"version": 1, "expected": 1, "why": "a test"%s}', ', "version": 2'),
    ("/api/v1/models/all/rollback", '{"expected": 1, "why": "a test"%s}', ', "expected": 2'),
    ("/api/v1/training-runs", '{"promote": "never"%s}', ', "promote": "auto"'),
]
BODIES = [
    ('{"a": 1, "a": 1}', True),
    ('{"a": 1, "\\u0061": 2}', True),
    ('[{"a": {"b": 1, "b": 2}}]', True),
    ('{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}', False),
    ('{"a": ":::", "b:": "\\"b:\\":"}', False),
    (f'{{"a": 1{"0" * 5000}}}', False),
    ("[]", False),
    ("", False),
    ('{"a": ', False),
    ("\x00", False),
]


@pytest.mark.parametrize(("path", "body", "again"), ROUTES)
def test_a_field_that_stands_twice_is_refused(ask: Ask, path: str, body: str, again: str):
    headers = {"content-type": "application/json", "idempotency-key": "a-test-of-ours"}
    twice = ask("POST", path, content=(body % again).encode(), headers=headers)
    assert (twice.status_code, twice.json()["detail"]) == (400, TWICE)
    once = ask("POST", path, content=(body % "").encode(), headers=headers)
    assert once.status_code != 400, once.text


@pytest.mark.parametrize(("body", "twice"), BODIES)
def test_an_object_may_have_what_another_has(body: str, twice: bool):
    assert names_twice(body.encode()) is twice


def test_colons_in_texts_are_no_fields(ask: Ask):
    sent = json.dumps({"customer_id": "C:1:2:3", "tenure": 3})
    answer = ask("POST", "/api/v1/predictions", content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["customer_id"]) == (200, "C:1:2:3")
