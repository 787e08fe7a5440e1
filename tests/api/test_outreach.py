"""Who works a list off reads it page by page, whole and each customer once, and never what he need not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from api.app import create_app
from api.outreach import NO_LIST
from schemas.list_messages import read_cursor
from schemas.users import Role, User
from store.access_tables import lookup_audit
from store.registry import Version
from store.settings import Settings
from store.tables import engine_for
from tests.api.lists import NIGHT, customer, publish_list
from tests.api.service import TINY, Ask, promoted, running

PATH = "/api/v1/outreach"
LATER = date(2026, 1, 2)
RANKED = [7, 3, 12, 1, 4, 9, 2, 8, 5, 6]

SEEN = [
    # who may see           and sees, in order of rank
    ({}, RANKED),
    ({"segments": ("prepaid",)}, [12, 4, 2, 8, 6]),
    ({"segments": ("postpaid",)}, [7, 3, 1, 9, 5]),
    ({"segments": ("hybrid",)}, []),
    ({"regions": ("R01",)}, [3, 12, 9, 6]),
    ({"regions": ("R01", "R02"), "segments": ("prepaid",)}, [12, 4, 6]),
]
ROLES = [
    # role         sees money   who is held out   may take over
    (Role.AGENT, False, 403, 403),
    (Role.SERVICE, False, 403, 200),
    (Role.ANALYST, True, 200, 403),
    (Role.OPERATOR, True, 200, 200),
]
NO_CURSORS = ["x", "e30", "-", "A" * 601, "bnVsbA", "W10"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, rates={"lists": 60_000, "changes": 60_000})


def as_(settings: Settings, role: Role, **limits: tuple[str, ...]):
    return running(create_app(settings, TINY.name), who=User("somebody", role, **limits))


def shown(ask: Ask, code: int = 200, **query: object) -> dict[str, Any]:
    answer = ask("GET", PATH, params=query)
    assert answer.status_code == code, answer.text
    return answer.json()


def ranked(page: dict[str, Any]) -> list[str]:
    return [one["customer_id"] for one in page["customers"]]


def all_pages(ask: Ask, **query: object) -> list[str]:
    page = shown(ask, **query)
    found = ranked(page)
    while page["next_cursor"]:
        page = shown(ask, cursor=page["next_cursor"], **query)
        found += ranked(page)
    return found


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages_show_every_customer_of_the_list_once_in_order_of_rank(ask: Ask, settings: Settings, limit: int):
    publish_list(settings, RANKED, held_out=[10, 11])
    assert all_pages(ask, limit=limit) == [customer(number) for number in RANKED]


def test_the_first_page_says_whose_list_it_is(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    page = shown(ask)
    assert (page["as_of"], page["known_at"], page["revision"]) == ("2026-01-01", "2026-01-01T00:00:00Z", 1)
    assert (page["status"], page["handed_over_at"], page["next_cursor"]) == ("listed", None, None)
    assert page["customers"][0] == page["customers"][0] | {
        "rank": 1,
        "customer_id": "C007",
        "team": "south",
        "action": "word",
        "channel": "word",
        "agent_says": "word",
    }


def test_a_team_sees_its_own(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    assert all_pages(ask, team="north", limit=2) == [customer(number) for number in RANKED if number % 2 == 0]
    assert all_pages(ask, team="nobody") == []


def test_those_of_another_status_come_by_key(ask: Ask, settings: Settings):
    publish_list(settings, RANKED, held_out=[11, 10, 0])
    assert all_pages(ask, status="held_out", limit=2) == ["C000", "C010", "C011"]
    assert all_pages(ask, status="held_out", team="north") == ["C000", "C010"]
    assert all_pages(ask, status="do_not_contact") == []


def test_the_newest_list_is_shown_unless_a_date_is_named(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    publish_list(settings, [1], LATER)
    assert all_pages(ask) == ["C001"]
    assert all_pages(ask, as_of=NIGHT, limit=4) == [customer(number) for number in RANKED]


def test_pages_stay_with_their_night_when_a_newer_one_is_published(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    begun = shown(ask, limit=5)
    publish_list(settings, [1], LATER)
    rest = shown(ask, limit=100, cursor=begun["next_cursor"])
    assert ranked(begun) + ranked(rest) == [customer(number) for number in RANKED]
    assert rest["as_of"] == "2026-01-01"


def test_pages_of_a_list_that_was_replaced_are_refused_and_never_mixed(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    begun = shown(ask, limit=5)
    publish_list(settings, RANKED[::-1])
    refused = shown(ask, 409, cursor=begun["next_cursor"])
    assert refused["detail"] == "Another list took this one's place. Ask for its first page, without a cursor."
    assert all_pages(ask)[0] == customer(RANKED[-1])


@pytest.mark.parametrize(("limits", "numbers"), SEEN)
def test_nobody_sees_customers_of_other_segments_and_regions(
    settings: Settings, champion: Version, limits: dict[str, tuple[str, ...]], numbers: list[int]
):
    publish_list(settings, RANKED, held_out=[10])
    with as_(settings, Role.AGENT, **limits) as ask:
        assert all_pages(ask, limit=2) == [customer(number) for number in numbers]
    with as_(settings, Role.ANALYST, **limits) as ask:
        of_region = {"R02"} & set(limits.get("regions", ("R02",)))
        of_segment = {"prepaid"} & set(limits.get("segments", ("prepaid",)))
        assert all_pages(ask, status="held_out") == (["C010"] if of_region and of_segment else [])


@pytest.mark.parametrize(("role", "sees_money", "held_out", "take_over"), ROLES)
def test_each_role_sees_what_its_work_needs(
    settings: Settings, champion: Version, role: Role, sees_money: bool, held_out: int, take_over: int
):
    publish_list(settings, RANKED, held_out=[10])
    with as_(settings, role) as ask:
        first = shown(ask)["customers"][0]
        assert (first["judgement"] is not None) == sees_money
        assert ("probability" in str(first)) == sees_money
        assert ask("GET", PATH, params={"status": "held_out"}).status_code == held_out
        assert ask("POST", f"{PATH}/handover", json={}).status_code == take_over


def test_reading_hands_nothing_over_and_taking_over_keeps_the_list_for_good(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    all_pages(ask)
    publish_list(settings, RANKED[::-1])
    taken = ask("POST", f"{PATH}/handover", json={"as_of": "2026-01-01"}).json()
    assert (taken["as_of"], taken["customers"]) == ("2026-01-01", 10)
    assert ask("POST", f"{PATH}/handover", json={}).json() == taken, "once more changes nothing"
    assert shown(ask)["handed_over_at"] == taken["handed_over_at"]
    with pytest.raises(Exception, match="it was sent, and no other takes its place"):
        publish_list(settings, RANKED)


def test_every_customer_shown_stands_in_the_log_and_no_other(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    shown(ask, limit=3)
    with engine_for(settings.database_url).connect() as connection:
        seen = connection.execute(sa.select(lookup_audit.c.what, lookup_audit.c.purpose)).all()
    assert seen == [("list", "tests")] * 3


@pytest.mark.parametrize(
    "query", [{"limit": 101}, {"limit": 0}, {"status": "'; DROP"}, {"as_of": "soon"}, {"money": 1}]
)
def test_what_cannot_be_asked_is_refused(ask: Ask, query: dict[str, object]):
    assert shown(ask, 422, **query)["fields"][0]["field"] == next(iter(query))


@pytest.mark.parametrize("cursor", NO_CURSORS)
def test_a_cursor_that_nobody_gave_is_refused(ask: Ask, settings: Settings, cursor: str):
    publish_list(settings, RANKED)
    shown(ask, 422, cursor=cursor)


@pytest.mark.parametrize("after", [-1, 2**63, 2**200])
def test_a_cursor_whose_place_can_be_none_is_refused(ask: Ask, settings: Settings, after: int):
    publish_list(settings, RANKED)
    given = read_cursor(shown(ask, limit=2)["next_cursor"])
    shown(ask, 422, cursor=given.model_copy(update={"after": after}).written())


def test_a_cursor_whose_place_is_a_text_that_no_database_has_is_refused(ask: Ask, settings: Settings):
    publish_list(settings, RANKED, held_out=[21, 22])
    given = read_cursor(shown(ask, limit=1, status="held_out")["next_cursor"])
    assert isinstance(given.after, str)
    shown(ask, 422, status="held_out", cursor=given.model_copy(update={"after": "\x00"}).written())


def test_a_cursor_leads_on_in_its_own_list_alone(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    begun = shown(ask, limit=2)["next_cursor"]
    for other in ({"team": "north"}, {"status": "held_out"}, {"as_of": "2026-01-02"}):
        assert "another list" in shown(ask, 422, cursor=begun, **other)["detail"]


def test_without_a_list_there_is_nothing_to_show_or_take_over(ask: Ask, settings: Settings):
    publish_list(settings, RANKED)
    assert shown(ask, 404, as_of=LATER)["detail"] == NO_LIST
    assert ask("POST", f"{PATH}/handover", json={"as_of": "2026-01-02"}).status_code == 404
    assert ask("POST", f"{PATH}/handover", json={"force": True}).status_code == 422


def test_without_a_purpose_nobody_is_shown(settings: Settings, champion: Version):
    publish_list(settings, RANKED)
    with as_(settings, Role.AGENT) as ask:
        refused = ask("GET", PATH, headers={"x-purpose": ""})
    assert (refused.status_code, refused.json()["fields"][0]["field"]) == (422, "X-Purpose")


def test_postgresql_shows_what_sqlite_shows(ask: Ask, settings: Settings, postgres_url: str):
    on_postgres = replace(settings, database_url=postgres_url)
    promoted(on_postgres)
    for place in (settings, on_postgres):
        publish_list(place, RANKED, held_out=[11, 10])
    with running(create_app(on_postgres, TINY.name)) as ask_postgres:
        for query in ({"limit": 3}, {"limit": 1, "status": "held_out"}, {"team": "south"}):
            assert all_pages(ask_postgres, **query) == all_pages(ask, **query)
        taken = ask_postgres("POST", f"{PATH}/handover", json={})
        assert (taken.status_code, shown(ask_postgres)["handed_over_at"]) == (200, taken.json()["handed_over_at"])


@pytest.mark.parametrize("path", ["/api/v1/outreach", "/api/v1/customers/C1/receipt"])
@pytest.mark.parametrize("as_of", ["1735689600", "0", "-1", "20260101", "2026-13-01"])
def test_what_is_written_as_no_day_is_refused(ask: Ask, path: str, as_of: str):
    answer = ask("GET", path, params={"as_of": as_of})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "as_of")
