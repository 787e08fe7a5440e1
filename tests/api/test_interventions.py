"""What came of contacts is kept once, whoever sends it again, late or twice at once; and each tells his own alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from api.app import create_app
from api.harvest import ALARM, MOST_SHOWN
from schemas.users import Role, User
from store.access_tables import answered_request, lookup_audit
from store.interventions import wave_events
from store.policies import read_policy
from store.registry import Version
from store.settings import Settings
from store.tables import engine_for
from tests.api.lists import NIGHT, publish_list
from tests.api.service import TINY, Ask, promoted, running
from tests.homes import Homes

PATH = "/api/v1/interventions"
POLICY = read_policy("telco").policy
REACHED = {
    "customer_id": "C001",
    "as_of": "2026-01-01",
    "action": POLICY.actions[0].name,
    "channel": POLICY.channel_names[0],
    "team": POLICY.teams[0].name,
    "event": "reached",
    "occurred_at": "2026-01-02T09:30:00+00:00",
}
KEY = "0b8a7c1e-7f0e"

ROLES = [(Role.AGENT, 200), (Role.SERVICE, 200), (Role.OPERATOR, 200), (Role.ANALYST, 403)]
REFUSED = [
    # what is other                                   what is said of it
    ({"channel": "pigeon"}, "has no channel pigeon"),
    ({"action": "discounts"}, "has no action discounts"),
    ({"customer_id": "C999"}, "knows no customer C999"),
    ({"as_of": "2025-01-01"}, "no list of 2025-01-01 was published, the newest are of 2026-01-01: correct as_of"),
    ({"as_of": "0001-01-01"}, "no list of 0001-01-01 was published"),
    ({"occurred_at": "2025-12-30T09:30:00+00:00"}, "before the list of 2026-01-01 was there"),
    ({"occurred_at": "2126-12-30T09:30:00+00:00"}, "has not come yet"),
]
MALFORMED = [
    ({"event": "shrugged"}, "interventions.0.event"),
    ({"occurred_at": "2026-01-02T09:30:00"}, "interventions.0.occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "interventions.0.occurred_at"),
    ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "interventions.0.occurred_at"),
    ({"occurred_at": 1735689600}, "interventions.0.occurred_at"),
    ({"as_of": 1735689600}, "interventions.0.as_of"),
    ({"as_of": "1735689600"}, "interventions.0.as_of"),
    ({"customer_id": "C\x00"}, "interventions.0.customer_id"),
    ({"paid": True}, "interventions.0.paid"),
]


@pytest.fixture
def settings(settings: Settings, homes: Homes) -> Settings:
    homes.fill(settings, "a list of three", lambda home: publish_list(home, [1, 2, 3]))
    return replace(settings, rates={"changes": 60_000})


def sent(ask: Ask, *events: dict[str, Any], key: str = KEY, code: int = 200) -> dict[str, Any]:
    answer = ask("POST", PATH, json={"interventions": events}, headers={"idempotency-key": key})
    assert answer.status_code == code, answer.text
    return answer.json()


def test_whose_events_are_sent_counts_like_who_is_looked_up(settings: Settings, champion: Version):
    app = create_app(settings, TINY.name)
    told: list[tuple[str, int]] = []
    with running(app, who=User("ada", Role.AGENT)) as ask:
        app.state.harvest.saw = lambda principal, customers: told.append((principal.name, customers))
        sent(ask, REACHED, REACHED | {"event": "accepted"}, REACHED | {"customer_id": "C002"})
    assert told == [("ada", 2)]


def test_who_tries_out_keys_by_writing_back_is_written_down_for_the_auditor(settings: Settings, champion: Version):
    with running(create_app(settings, TINY.name), who=User("ada", Role.AGENT)) as ask:
        for turn in range(2):
            tried = [REACHED | {"customer_id": f"C{turn}-{number}"} for number in range(MOST_SHOWN - 1)]
            sent(ask, *(dict(one) for one in tried), key=f"{KEY}-{turn}")
    alarms = sa.select(lookup_audit.c.principal, lookup_audit.c.purpose).where(lookup_audit.c.what == "alarm")
    with engine_for(settings.database_url).connect() as connection:
        assert connection.execute(alarms).all() == [("ada", ALARM)]


def kept(settings: Settings) -> pa.Table:
    return wave_events(settings, TINY.name, NIGHT)


def test_the_same_request_has_the_same_answer_and_no_second_effect(ask: Ask, settings: Settings):
    first = sent(ask, REACHED, REACHED | {"event": "accepted"})
    assert first == {"new": 2, "known": 0, "refused": []}
    assert sent(ask, REACHED, REACHED | {"event": "accepted"}) == first
    assert sorted(kept(settings)["event"].to_pylist()) == ["accepted", "reached"]
    assert set(kept(settings)["agent"].to_pylist()) == {"tests"}


def test_another_request_under_the_same_key_is_refused_and_kept_nowhere(ask: Ask, settings: Settings):
    sent(ask, REACHED)
    refused = sent(ask, REACHED | {"event": "refused"}, code=409)
    assert refused["detail"] == "It stands for another request already. Give each request its own key."
    assert kept(settings)["event"].to_pylist() == ["reached"]


def test_the_same_event_under_another_key_is_known(ask: Ask, settings: Settings):
    named = REACHED | {"key": "call 17"}
    assert sent(ask, named)["new"] == 1
    assert sent(ask, named, key="another-key") == {"new": 0, "known": 1, "refused": []}
    assert "written down already" in sent(ask, named | {"event": "offered"}, key="a-third-key")["refused"][0]["why"]
    assert kept(settings).num_rows == 1


def test_keys_of_two_callers_are_two_keys(ask: Ask, settings: Settings):
    sent(ask, REACHED)
    with running(create_app(settings, TINY.name), who=User("dialler", Role.SERVICE)) as ask_other:
        assert sent(ask_other, REACHED | {"event": "offered", "agent": "Ada"})["new"] == 1
    assert sorted(kept(settings)["agent"].to_pylist()) == ["Ada", "tests"]


def test_a_key_stands_for_a_request_to_one_base_alone(ask: Ask, settings: Settings):
    sent(ask, REACHED)
    with running(create_app(settings, "another")) as ask_another:
        sent(ask_another, REACHED, code=409)


def test_a_request_sent_many_times_at_once_is_done_once(ask: Ask, settings: Settings):
    with ThreadPoolExecutor(4) as at_once:
        answers = list(at_once.map(lambda _: sent(ask, REACHED), range(4)))
    assert answers == answers[:1] * 4
    assert kept(settings).num_rows == 1


def test_a_request_whose_process_died_before_it_answered_is_done_again(ask: Ask, settings: Settings):
    sent(ask, REACHED)
    with engine_for(settings.database_url).begin() as connection:
        connection.execute(sa.update(answered_request).values(answer=None))
    assert sent(ask, REACHED) == {"new": 0, "known": 1, "refused": []}


@pytest.mark.parametrize(("other", "why"), REFUSED)
def test_what_is_refused_is_named_and_keeps_no_other_from_being_kept(
    ask: Ask, settings: Settings, other: dict[str, str], why: str
):
    came = sent(ask, REACHED, REACHED | other | {"key": "wrong"})
    assert (came["new"], came["known"], [one["key"] for one in came["refused"]]) == (1, 0, ["wrong"])
    assert why in came["refused"][0]["why"]


@pytest.mark.parametrize(("other", "field"), MALFORMED)
def test_what_is_no_event_is_refused_as_a_whole(ask: Ask, settings: Settings, other: dict[str, Any], field: str):
    sent(ask, REACHED, key="good-one")
    assert sent(ask, REACHED | other, code=422)["fields"][0]["field"] == field
    assert kept(settings).num_rows == 1


@pytest.mark.parametrize("events", [0, 1_001])
def test_a_request_has_one_to_a_thousand_events(ask: Ask, settings: Settings, events: int):
    few = {"a": 1}  # is refused by the number alone
    answer = ask("POST", PATH, json={"interventions": [few] * events}, headers={"idempotency-key": KEY})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "interventions")


def test_without_a_key_nothing_is_kept(ask: Ask, settings: Settings):
    answer = ask("POST", PATH, json={"interventions": [REACHED]})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(("role", "code"), ROLES)
def test_who_talks_to_customers_may_write_back(settings: Settings, champion: Version, role: Role, code: int):
    with running(create_app(settings, TINY.name), who=User("ada", role)) as ask:
        sent(ask, REACHED, code=code)


def test_an_agent_writes_back_his_own_contacts_with_customers_whom_he_may_see(settings: Settings, champion: Version):
    ada = User("ada", Role.AGENT, segments=("prepaid",))
    of_bob, hers, unseen = REACHED | {"agent": "bob"}, REACHED | {"customer_id": "C002"}, REACHED
    with running(create_app(settings, TINY.name), who=ada) as ask:
        came = sent(ask, of_bob, hers, unseen)
    assert (came["new"], [one["why"].partition(":")[0] for one in came["refused"]]) == (
        1,
        ["an agent writes back his own contacts", "the night of 2026-01-01 knows no customer C001"],
    )
    assert kept(settings)["customer_id"].to_pylist() == ["C002"]


@pytest.mark.parametrize("other", [{"agent": "Bob"}, {"customer_id": "C002"}])
def test_who_guesses_a_key_learns_nothing_of_whose_event_it_names(ask: Ask, settings: Settings, other: dict[str, str]):
    sent(ask, REACHED | {"key": "crm-1001", "agent": "Anna"})
    [refused] = sent(ask, REACHED | {"key": "crm-1001", "agent": "Anna"} | other, key="a-second-key")["refused"]
    assert refused == {
        "key": "crm-1001",
        "why": "the key names another event already: give this one a key of its own",
    }


@pytest.mark.parametrize("limited", [User("bob", Role.AGENT), User("bob", Role.SERVICE, segments=("prepaid",))])
def test_the_keys_of_who_sees_not_all_are_his_own(ask: Ask, settings: Settings, champion: Version, limited: User):
    sent(ask, REACHED | {"key": "crm-1001", "agent": "Anna"})
    his = REACHED | {"customer_id": "C002", "key": "crm-1001"}
    with running(create_app(settings, TINY.name), who=limited) as ask_bob:
        assert sent(ask_bob, his) == {"new": 1, "known": 0, "refused": []}
        assert sent(ask_bob, his, key="another-key") == {"new": 0, "known": 1, "refused": []}
        [refused] = sent(ask_bob, his | {"event": "offered"}, key="a-third-key")["refused"]
    assert refused["key"] == "crm-1001"
    assert "event reached, not offered" in refused["why"]
    assert sorted(kept(settings)["agent"].to_pylist()) == ["Anna", "bob"]


def test_postgresql_keeps_what_sqlite_keeps(settings: Settings, postgres_url: str):
    on_postgres = replace(settings, database_url=postgres_url)
    promoted(on_postgres)
    publish_list(on_postgres, [1, 2])
    with running(create_app(on_postgres, TINY.name)) as ask:
        assert sent(ask, REACHED) == sent(ask, REACHED) == {"new": 1, "known": 0, "refused": []}
        sent(ask, REACHED | {"event": "refused"}, code=409)
