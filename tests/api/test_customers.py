"""The call centre sees the newest published night, how old it is, and what the outreach list says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from api.app import create_app
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, Ask, promoted, publish, running, scored

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


def publish_scores(settings: Settings, champion: Version, as_of: date, customers: int = 20) -> list[dict[str, Any]]:
    rows = scored(cards.customers(customers), champion, as_of)
    publish(settings, "scores", as_of, scores=rows)
    return rows.to_pylist()


def publish_list(settings: Settings, as_of: date, **statuses: str) -> None:
    rows = {
        "as_of": pa.array([as_of] * len(statuses), pa.date32()),
        "customer_id": list(statuses),
        "status": list(statuses.values()),
        "rule": ["in words"] * len(statuses),
        "expected_value": [12.5] * len(statuses),
        **{name: pa.nulls(len(statuses), pa.string()) for name in ("team", "action", "arm")},
        "wave_since": pa.nulls(len(statuses), pa.date32()),
        "policy_digest": ["p" * 64] * len(statuses),
    }
    publish(settings, "outreach", as_of, outreach_status=pa.table(rows))


def shown(ask: Ask, customer_id: str) -> dict[str, Any]:
    answer = ask("GET", f"/api/v1/customers/{customer_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_look_up_shows_the_published_row_to_the_bit(ask: Ask, settings: Settings, champion: Version):
    same = ("customer_id", "segment", "probability", "log_odds", "band", "percentile", "customer_value")
    for row in publish_scores(settings, champion, FIRST):
        answer = shown(ask, row["customer_id"])
        assert {name: answer[name] for name in same} == {name: row[name] for name in same}
        reasons = [(reason["feature"], reason["value"], reason["log_odds"]) for reason in answer["reasons"]]
        assert reasons == [told(row, f"reason_{place}") for place in range(1, len(reasons) + 1)]
        assert [told(row, "relief_1")] * len(answer["reliefs"]) == [tuple(part.values()) for part in answer["reliefs"]]
        assert answer["model"] == {"version": 1, "digest": champion.digest}


def told(row: dict[str, Any], place: str) -> tuple[object, ...]:
    return tuple(row[f"{place}_{part}"] for part in ("feature", "value", "log_odds"))


def test_a_look_up_says_which_night_it_shows_and_how_old_that_is(ask: Ask, settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST)
    answer = shown(ask, "C000003")
    assert (answer["as_of"], answer["known_at"], answer["revision"]) == ("2026-01-01", "2026-01-01T00:00:00", 1)
    assert 0 <= answer["age_hours"] < 0.1


def test_the_newest_night_is_shown(ask: Ask, settings: Settings, champion: Version):
    for as_of in (FIRST, SECOND):
        publish_scores(settings, champion, as_of)
    assert shown(ask, "C000003")["as_of"] == "2026-01-02"


def test_the_status_is_that_of_the_same_night_s_list(ask: Ask, settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST)
    assert shown(ask, "C000003")["outreach"] is None
    publish_list(settings, FIRST, C000003="listed", C000004="not_worth_it")
    assert shown(ask, "C000003")["outreach"] == {"status": "listed", "rule": "in words", "expected_value": 12.5}
    assert shown(ask, "C000004")["outreach"]["status"] == "not_worth_it"
    publish_scores(settings, champion, SECOND)
    assert shown(ask, "C000003")["outreach"] is None, "a list of yesterday says nothing about tonight's scores"


@pytest.mark.parametrize("customer_id", ["C999999", "c000003", "C000003' OR '1'='1", "%25", "ключ"])
def test_an_unknown_customer_is_not_found(ask: Ask, settings: Settings, champion: Version, customer_id: str):
    publish_scores(settings, champion, FIRST)
    answer = ask("GET", f"/api/v1/customers/{customer_id}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "The newest published night has no such customer."


@pytest.mark.parametrize("customer_id", ["C" * 257, "C%00"])
def test_what_can_be_no_key_is_refused(ask: Ask, customer_id: str):
    answer = ask("GET", f"/api/v1/customers/{customer_id}")
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "customer_id")


def test_the_customers_of_another_contract_are_not_shown(ask: Ask, settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST)
    with running(create_app(settings, "another")) as ask_another:
        assert ask_another("GET", "/api/v1/customers/C000003").status_code == 404


def test_postgresql_shows_what_sqlite_shows(ask: Ask, settings: Settings, champion: Version, postgres_url: str):
    on_postgres = replace(settings, database_url=postgres_url)
    promoted(on_postgres)
    for place in (settings, on_postgres):
        publish_scores(place, champion, FIRST)
        publish_list(place, FIRST, C000003="listed")
    with running(create_app(on_postgres, TINY.name)) as ask_postgres:
        one, other = (shown(asked, "C000003") for asked in (ask, ask_postgres))
        assert ask_postgres("GET", "/api/v1/customers/C999999").status_code == 404
    assert one.pop("age_hours") == pytest.approx(other.pop("age_hours"), abs=0.1)
    assert one == other
