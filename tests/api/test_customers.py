"""The call centre sees the newest published night, how old it is, and what the outreach list says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from api.app import create_app
from api.visits import NOBODY
from schemas.interventions import Event, Intervention
from schemas.users import Role, User
from store.interventions import record
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api import lists
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
    assert (answer["as_of"], answer["known_at"], answer["revision"]) == ("2026-01-01", "2026-01-01T00:00:00Z", 1)
    assert 0 <= answer["age_hours"] < 0.1


def test_business_time_is_told_with_its_offset(settings: Settings, champion: Version):
    summer = date(2026, 7, 1)
    lists.publish_list(settings, [1], as_of=summer)
    with running(create_app(replace(settings, zone=ZoneInfo("Europe/Berlin")), TINY.name)) as ask:
        told = shown(ask, lists.customer(1)), ask("GET", "/api/v1/outreach").json()
    assert [one["known_at"] for one in told] == ["2026-07-01T00:00:00+02:00"] * 2


def test_the_newest_night_is_shown(ask: Ask, settings: Settings, champion: Version):
    for as_of in (FIRST, SECOND):
        publish_scores(settings, champion, as_of)
    assert shown(ask, "C000003")["as_of"] == "2026-01-02"


def test_the_status_is_that_of_the_same_night_s_list(ask: Ask, settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST)
    assert shown(ask, "C000003")["outreach"] is None
    publish_list(settings, FIRST, C000003="listed", C000004="not_worth_it")
    outreach = shown(ask, "C000003")["outreach"]
    assert (outreach["status"], outreach["rule"], outreach["expected_value"]) == ("listed", "in words", 12.5)
    assert shown(ask, "C000004")["outreach"]["status"] == "not_worth_it"
    publish_scores(settings, champion, SECOND)
    assert shown(ask, "C000003")["outreach"] is None, "a list of yesterday says nothing about tonight's scores"


def test_who_is_on_the_list_is_shown_with_what_to_do_and_to_say(ask: Ask, settings: Settings):
    lists.publish_list(settings, [1, 2], held_out=[3])
    listed = shown(ask, lists.customer(1))["outreach"]
    assert {name: listed[name] for name in ("status", "rank")} == {"status": "listed", "rank": 1}
    assert all(listed[name] for name in ("rule", "action", "channel", "team", "agent_says"))
    held_out = shown(ask, lists.customer(3))["outreach"]
    assert held_out["status"] == "held_out"
    assert [held_out[name] for name in ("rank", "channel", "agent_says")] == [None, None, None]


@pytest.mark.parametrize("role", [Role.AGENT, Role.SERVICE])
def test_whoever_talks_to_customers_learns_neither_money_nor_whom_the_lot_left_out(
    settings: Settings, champion: Version, role: Role
):
    lists.publish_list(settings, [1], held_out=[2])
    with running(create_app(settings, TINY.name), who=User("ada", role)) as ask:
        listed, held_out = shown(ask, lists.customer(1)), shown(ask, lists.customer(2))
        nights = [ask("GET", f"/api/v1/customers/{lists.customer(one)}/history").json()["nights"][0] for one in (1, 2)]
    assert (listed["outreach"]["status"], listed["outreach"]["rank"]) == ("listed", 1)
    assert all(listed["outreach"][name] for name in ("action", "agent_says"))
    assert [one["outreach"]["expected_value"] for one in (listed, held_out)] == [None, None]
    assert [one["customer_value"] for one in (listed, held_out, *nights)] == [None] * 4
    known = {name: value for name, value in held_out["outreach"].items() if value is not None}
    assert known == {"status": "not_listed", "rule": "the list of this night is of others"}
    assert [(one["status"], one["action"]) for one in nights] == [("listed", "word"), ("not_listed", None)]


@pytest.mark.parametrize("status", ["beyond_capacity", "not_worth_it", "no_action", "held_out"])
def test_the_lot_is_not_told_apart_from_who_is_not_on_the_list_for_another_reason(
    settings: Settings, champion: Version, status: str
):
    publish_scores(settings, champion, FIRST)
    publish_list(settings, FIRST, C000003=status, C000004="do_not_contact")
    with running(create_app(settings, TINY.name), who=User("ada", Role.AGENT)) as ask:
        assert shown(ask, "C000003")["outreach"]["status"] == "not_listed"
        assert shown(ask, "C000004")["outreach"]["status"] == "do_not_contact", "whom nobody is to call"


def test_what_came_of_contacts_is_shown_the_newest_first(ask: Ask, settings: Settings):
    lists.publish_list(settings, [1, 2])
    events = [event(1, Event.ATTEMPTED, day=1), event(1, Event.ACCEPTED, day=3), event(2, Event.REFUSED, day=2)]
    assert record(settings, events).new == 3
    told = shown(ask, lists.customer(1))["contacts"]
    assert [(one["event"], one["occurred_at"]) for one in told] == [
        ("accepted", "2026-01-03T09:00:00Z"),
        ("attempted", "2026-01-01T09:00:00Z"),
    ]
    assert (told[0]["agent"], told[0]["as_of"]) == ("ada", "2026-01-01")


def event(number: int, kind: Event, day: int) -> Intervention:
    return Intervention(
        contract=TINY.name,
        customer_id=lists.customer(number),
        as_of=lists.NIGHT,
        action="service_call",
        channel="phone",
        team="north",
        event=kind,
        agent="ada",
        occurred_at=datetime(2026, 1, day, 9, tzinfo=UTC),
        key=f"{number}-{kind}-{day}",
    )


SEEN = [
    # segments                  regions          whom of twelve: prepaid are even, regions go round by three
    ((), (), range(12)),
    (("prepaid",), (), range(0, 12, 2)),
    ((), ("R01",), range(0, 12, 3)),
    ((), ("R01", "R02"), [0, 1, 3, 4, 6, 7, 9, 10]),
    (("prepaid",), ("R01",), (0, 6)),
    (("prepaid", "postpaid"), ("R01", "R02", "R03"), range(12)),
    (("hybrid",), (), ()),
    ((), ("R99",), ()),
]


@pytest.mark.parametrize(("segments", "regions", "whom"), SEEN)
def test_an_agent_sees_the_customers_of_his_segments_and_regions_alone(
    settings: Settings, champion: Version, segments: tuple[str, ...], regions: tuple[str, ...], whom: Sequence[int]
):
    lists.publish_list(settings, list(range(12)))
    with running(create_app(settings, TINY.name), who=User("ada", Role.AGENT, segments, regions)) as ask:
        for path in ("/api/v1/customers/{}", "/api/v1/customers/{}/history"):
            answers = [ask("GET", path.format(lists.customer(number))) for number in range(12)]
            assert [answer.status_code for answer in answers] == [200 if one in whom else 404 for one in range(12)]
            hidden = {answer.text for answer in answers if answer.status_code == 404}
            assert hidden <= {ask("GET", path.format("C999")).text}, "that there is such a customer is hidden, too"


def test_who_is_limited_to_regions_sees_nobody_whose_region_is_unknown(settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST)
    for regions, status in (((), 200), (("R01",), 404)):
        with running(create_app(settings, TINY.name), who=User("ada", Role.AGENT, (), regions)) as ask:
            assert ask("GET", "/api/v1/customers/C000003").status_code == status


def test_the_trend_has_each_night_the_newest_first(ask: Ask, settings: Settings, champion: Version):
    rows = {as_of: publish_scores(settings, champion, as_of)[3] for as_of in (FIRST, SECOND)}
    publish_list(settings, FIRST, C000003="not_worth_it")
    answer = ask("GET", "/api/v1/customers/C000003/history").json()
    assert [night["as_of"] for night in answer["nights"]] == ["2026-01-02", "2026-01-01"]
    for night, as_of in zip(answer["nights"], (SECOND, FIRST), strict=True):
        same = ("probability", "log_odds", "band", "percentile", "customer_value", "model_version")
        assert {name: night[name] for name in same} == {name: rows[as_of][name] for name in same}
    assert [night["status"] for night in answer["nights"]] == [None, "not_worth_it"]
    assert len(ask("GET", "/api/v1/customers/C000003/history?nights=1").json()["nights"]) == 1


def test_the_trend_of_who_has_left_ends_where_he_left(ask: Ask, settings: Settings, champion: Version):
    publish_scores(settings, champion, FIRST, customers=20)
    publish_scores(settings, champion, SECOND, customers=10)
    assert ask("GET", "/api/v1/customers/C000015").status_code == 404
    nights = ask("GET", "/api/v1/customers/C000015/history").json()["nights"]
    assert [night["as_of"] for night in nights] == ["2026-01-01"]


@pytest.mark.parametrize("nights", ["0", "-1", "101", "x", str(10**400), "NaN", "%00", "1e1"])
def test_what_can_be_no_number_of_nights_is_refused(ask: Ask, nights: str):
    answer = ask("GET", f"/api/v1/customers/C1/history?nights={nights}")
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "nights")


@pytest.mark.parametrize("customer_id", ["C999999", "c000003", "C000003' OR '1'='1", "%25", "ключ"])
def test_an_unknown_customer_is_not_found(ask: Ask, settings: Settings, champion: Version, customer_id: str):
    publish_scores(settings, champion, FIRST)
    answer = ask("GET", f"/api/v1/customers/{customer_id}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == NOBODY


@pytest.mark.parametrize("key", ["2024/00123", "/", "a/b/c", "receipt", "50%/2", "x\ny/z"])
def test_a_key_may_have_slashes_in_it(ask: Ask, settings: Settings, champion: Version, key: str):
    rows = scored(cards.customers(3), champion, FIRST)
    keys = pa.array([key, "C000001", "C000002"])
    publish(
        settings, "scores", FIRST, scores=rows.set_column(rows.column_names.index("customer_id"), "customer_id", keys)
    )
    path = f"/api/v1/customers/{quote(key, safe='')}"
    assert ask("GET", path).json()["customer_id"] == key
    assert ask("GET", f"{path}/history").json()["customer_id"] == key
    what_if = ask("POST", f"{path}/what-if", json={"changes": {"tenure": 3}})
    assert "snapshot" in what_if.json()["detail"], "the route is found, and the small night has no snapshot"
    assert ask("GET", f"{path}/what-if").status_code == 405


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
        trends = [asked("GET", "/api/v1/customers/C000003/history").json() for asked in (ask, ask_postgres)]
        assert ask_postgres("GET", "/api/v1/customers/C999999").status_code == 404
    assert one.pop("age_hours") == pytest.approx(other.pop("age_hours"), abs=0.1)
    assert one == other
    assert trends[0] == trends[1]
    assert [night["status"] for night in trends[0]["nights"]] == ["listed"]
