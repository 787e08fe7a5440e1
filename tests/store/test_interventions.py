"""What teams write back is kept once each, whatever comes late, twice or at the same time; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from churn.contract import arrow_schema
from schemas.interventions import CONTACTS, INTERVENTIONS, Event, Intervention
from store.interventions import ROWS_AT_ONCE, Recorded, history, record, wave_events
from store.settings import Settings
from store.tables import engine_for

WAVE = date(2026, 1, 1)
LATER = datetime.fromisoformat("2030-01-01T00:00")  # by when everything in these tests was written down
LATEST = LATER.date()


@pytest.fixture
def kept(settings: Settings, database_with_tables: str) -> Settings:
    return replace(settings, database_url=database_with_tables)


def event(key: str, **changes: Any) -> Intervention:
    written = {
        "contract": "telco",
        "customer_id": "C1",
        "as_of": WAVE,
        "action": "service_call",
        "channel": "call",
        "team": "north",
        "event": Event.REACHED,
        "agent": "a.miller",
        "occurred_at": datetime(2026, 1, 2, 9, 30, tzinfo=UTC),
        "key": key,
    }
    return Intervention.model_validate(written | changes)


def keys(settings: Settings, known_at: datetime | None = None) -> list[str]:
    return wave_events(settings, "telco", WAVE, known_at=known_at)["key"].to_pylist()


def test_a_batch_is_kept_whole(kept):
    assert record(kept, [event("1"), event("2", event="offered")]) == Recorded(new=2, known=0)
    found = wave_events(kept, "telco", WAVE)
    assert found.schema == arrow_schema(INTERVENTIONS)
    assert found.num_rows == 2
    assert found["event"].to_pylist() == ["reached", "offered"]


def test_a_batch_that_is_sent_again_changes_nothing(kept):
    batch = [event("1"), event("2")]
    record(kept, batch)
    before = wave_events(kept, "telco", WAVE)
    assert record(kept, batch) == Recorded(new=0, known=2)
    assert wave_events(kept, "telco", WAVE).equals(before)


def test_the_same_moment_in_another_zone_is_the_same_content(kept):
    record(kept, [event("1", occurred_at="2026-01-02T09:30:00Z")])
    assert record(kept, [event("1", occurred_at="2026-01-02T10:30:00+01:00")]) == Recorded(new=0, known=1)


def test_a_known_key_with_other_content_is_refused_and_the_others_are_kept(kept):
    record(kept, [event("1")])
    came = record(kept, [event("1", event="refused"), event("2")])
    assert (came.new, came.known, [refusal.key for refusal in came.refused]) == (1, 0, ["1"])
    assert came.refused[0].why == (
        "the key is written down already with event reached, not refused: give another event another key"
    )
    assert wave_events(kept, "telco", WAVE)["event"].to_pylist() == ["reached", "reached"]


def test_within_one_batch_the_first_of_a_key_counts(kept):
    came = record(kept, [event("1"), event("1"), event("1", agent="b.jones")])
    assert (came.new, came.known, len(came.refused)) == (1, 1, 1)
    assert wave_events(kept, "telco", WAVE)["agent"].to_pylist() == ["a.miller"]


def test_contracts_may_use_the_same_key(kept):
    assert record(kept, [event("1"), event("1", contract="iranian")]) == Recorded(new=2, known=0)


@pytest.mark.parametrize(
    ("occurred_at", "why"),
    [
        (datetime.now(UTC) + timedelta(hours=2), "has not come yet"),
        ("2025-12-31T22:00:00Z", "before the list of 2026-01-01 was there"),
    ],
)
def test_a_time_that_cannot_be_is_refused(kept, occurred_at, why):
    came = record(kept, [event("1", occurred_at=occurred_at), event("2")])
    assert came.new == 1
    assert why in came.refused[0].why


def test_a_good_event_is_kept_though_another_of_its_key_cannot_be(kept):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    came = record(kept, [event("1", occurred_at=tomorrow), event("1"), event("1", contract="iranian")])
    assert (came.new, came.known, len(came.refused)) == (2, 0, 1)
    assert keys(kept) == ["1"]


def test_batches_larger_than_a_statement_are_kept_whole(kept):
    batch = [event(str(number), customer_id=f"C{number}") for number in range(2 * ROWS_AT_ONCE + 1)]
    assert record(kept, batch).new == len(batch)
    assert record(kept, batch).known == len(batch)


def test_the_same_batch_from_four_senders_at_once_is_kept_once(kept):
    batch = [event(str(number)) for number in range(50)]
    record(kept, [])  # the table is there
    with ThreadPoolExecutor(4) as senders:
        came = list(senders.map(lambda order: record(kept, batch[::order]), [1, -1, 1, -1]))
    assert sum(one.new for one in came) == 50
    assert sum(one.known for one in came) == 150
    assert len(keys(kept)) == 50


def test_a_row_never_changes(kept):
    record(kept, [event("1")])
    with pytest.raises(sa.exc.IntegrityError, match="only ever added"), engine_for(kept.database_url).begin() as writer:
        writer.exec_driver_sql("UPDATE intervention SET event = 'accepted'")
    assert wave_events(kept, "telco", WAVE)["event"].to_pylist() == ["reached"]


def test_the_last_contact_and_the_last_answer_are_told_by_channel(kept):
    record(
        kept,
        [
            event("1", event="refused", occurred_at="2026-01-02T09:00:00Z"),
            event("2", event="attempted", occurred_at="2026-01-20T09:00:00Z"),
            event("3", channel="sms", occurred_at="2026-01-05T09:00:00Z"),
            event("4", customer_id="C2", event="assigned"),
            event("5", customer_id="C3", contract="iranian"),
        ],
    )
    assert history(kept, "telco", before=LATEST, known_at=LATER).to_pylist() == [
        {
            "customer_id": "C1",
            "channel": "call",
            "last_contact": date(2026, 1, 20),
            "accepted_at": None,
            "refused_at": date(2026, 1, 2),
        },
        {
            "customer_id": "C1",
            "channel": "sms",
            "last_contact": date(2026, 1, 5),
            "accepted_at": None,
            "refused_at": None,
        },
    ]


def test_a_later_answer_does_not_undo_the_one_before(kept):
    """Each closes the channels for as long as the policy says, and that of the earlier may be over later."""
    answers = {"accepted": "2026-01-02T09:00:00Z", "refused": "2026-01-07T09:00:00Z"}
    record(kept, [event(what, event=what, occurred_at=when) for what, when in answers.items()])
    [last] = history(kept, "telco", before=LATEST, known_at=LATER).to_pylist()
    assert (last["accepted_at"], last["refused_at"]) == (date(2026, 1, 2), date(2026, 1, 7))


# Ada refused on the 5th and on the 12th, when she also got a message; all of it is known today.
BEFORE = [
    # a list of  last call      last message  refused
    (date(2026, 6, 5), None, None, None),
    (date(2026, 6, 6), date(2026, 6, 5), None, date(2026, 6, 5)),
    (date(2026, 6, 10), date(2026, 6, 5), None, date(2026, 6, 5)),
    (date(2026, 6, 12), date(2026, 6, 5), None, date(2026, 6, 5)),
    (date(2026, 6, 13), date(2026, 6, 12), date(2026, 6, 12), date(2026, 6, 12)),
]


@pytest.mark.parametrize(("before", "called", "written", "refused"), BEFORE)
def test_what_came_after_a_list_hides_nothing_of_what_came_before(kept, before, called, written, refused):
    record(
        kept,
        [
            event("1", event="refused", occurred_at="2026-06-05T09:00:00Z"),
            event("2", event="refused", occurred_at="2026-06-12T09:00:00Z"),
            event("3", channel="sms", occurred_at="2026-06-11T23:30:00Z"),  # in the summer's London the 12th has begun
        ],
    )
    told = {row["channel"]: row for row in history(kept, "telco", before=before, known_at=LATER).to_pylist()}
    contacts = [told.get(channel, {}).get("last_contact") for channel in ("call", "sms")]
    assert [*contacts, told.get("call", {}).get("refused_at")] == [called, written, refused]


def test_who_was_only_assigned_was_not_contacted(kept):
    record(kept, [event("1", event="assigned")])
    assert history(kept, "telco", before=LATEST, known_at=LATER).num_rows == 0


def test_a_late_write_back_does_not_change_what_was_known_before(kept):
    before = datetime.now(kept.zone).replace(tzinfo=None) - timedelta(minutes=1)
    record(kept, [event("1")])
    assert history(kept, "telco", before=LATEST, known_at=before).num_rows == 0
    assert keys(kept, before) == []
    after = datetime.now(kept.zone).replace(tzinfo=None) + timedelta(minutes=1)
    assert history(kept, "telco", before=LATEST, known_at=after).num_rows == 1
    assert keys(kept, after) == ["1"]


def test_a_contact_just_before_midnight_in_utc_is_of_the_next_business_day_in_summer(kept):
    record(kept, [event("1", occurred_at="2026-06-30T23:30:00Z")])
    assert history(kept, "telco", before=LATEST, known_at=LATER)["last_contact"].to_pylist() == [date(2026, 7, 1)]


def test_nobody_was_contacted_yet(kept):
    assert history(kept, "telco", before=LATEST, known_at=LATER).schema == arrow_schema(CONTACTS)
    assert wave_events(kept, "telco", WAVE).num_rows == 0
