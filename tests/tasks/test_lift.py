"""What waves saved is measured from published lists, written-back contacts, and who left by what was known then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from churn.errors import RequestError
from schemas.interventions import Intervention
from schemas.lift import LIFT
from store.interventions import record
from store.publication import Publisher, open_publisher
from store.settings import current_settings
from store.source import Extract
from tasks import lift as steps
from tests.end_to_end.nights import living_in
from tests.small_telecom import write_extract
from tests.waves import asked, publish_wave

FIRST, NEXT = date(2025, 11, 1), date(2025, 11, 2)
KNOWN_AT = "2025-12-15T00:00"
# Of the first wave's twenty every second listed customer and nobody held out leaves; the news of C99's leaving is late.
LEFT = """
customer_id  churned_on  recorded_at
C01          2025-11-05  2025-11-06
C03          2025-11-30  2025-12-02
C05          2025-12-01  2025-12-02
C07          2025-10-31  2025-11-06
nobody       2025-12-05  2025-12-06
C99          2025-11-05  2025-12-20
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Publisher]:
    with living_in(tmp_path):
        yield open_publisher(current_settings())


@pytest.fixture
def extract(tmp_path: Path) -> Extract:
    return taken_in(tmp_path / "extract", LEFT)


def taken_in(folder: Path, churn_events: str, newest: str | None = None) -> Extract:
    told = datetime.fromisoformat(newest) if newest else None
    return Extract("telco", "digest", write_extract(folder, churn_events=churn_events), {}, told)


def measured(extract: Extract, known_at: str = KNOWN_AT) -> steps.Measured:
    return steps.measure.fn("telco", steps.keep_waves.fn("telco"), extract, known_at)


def test_a_wave_is_measured_by_who_left_within_its_horizon(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=list(range(18)), held_out=[18, 19])
    [of_all, of_wave] = measured(extract).lifts
    assert (of_all.heads.listed, of_all.heads.held_out) == (17, 2), "C07 had left before"
    assert (of_all.heads.listed_churned, of_all.heads.held_out_churned) == (2, 0), "C05 left after the horizon"
    assert (of_wave.scope, of_wave.first_as_of) == ("wave", FIRST)


def test_a_customer_of_two_waves_counts_in_the_first(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=[0, 2, 4], held_out=[6])
    publish_wave(home, NEXT, listed=[0, 2, 8], held_out=[6, 10])
    heads = [(one.scope, one.last_as_of, one.heads.listed, one.heads.held_out) for one in measured(extract).lifts]
    assert heads == [("waves", NEXT, 4, 2), ("wave", FIRST, 3, 1), ("wave", NEXT, 1, 1)]


def test_what_was_written_back_is_counted_and_a_leak_is_told(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=[0, 2, 4], held_out=[6])
    record(current_settings(), [event("C00", "accepted"), event("C02", "assigned"), event("C06", "reached")])
    [of_all, _] = measured(extract, "2026-11-20T00:00").lifts
    assert of_all.heads.contacted == 0, "it was not written down by then"
    [of_all, _] = steps.measure.fn("telco", steps.keep_waves.fn("telco"), extract, None).lifts
    assert (of_all.heads.contacted, of_all.heads.accepted, of_all.heads.leaked) == (1, 1, 1)
    assert of_all.alarm == "1 held out were contacted nevertheless: C06"


def test_a_wave_is_judged_by_the_policy_that_decided_it_and_not_by_the_one_in_force(home, extract):
    publish_wave(home, FIRST, listed=[0, 2, 4], held_out=[6])
    waves = steps.keep_waves.fn("telco")
    by_its_own, by_another = (
        steps.measure.fn("telco", waves, extract, KNOWN_AT, policy).lifts[0] for policy in ("telco", "default")
    )
    assert by_another == by_its_own
    assert by_another.sample_ratio_p is not None
    assert by_another.spent > 0


def test_what_a_later_night_s_list_led_to_counts_for_the_stay(home: Publisher, extract: Extract) -> None:
    """Whoever stays is listed again, and it is the newest list that a team works from; a leak is one on any night."""
    for as_of in (FIRST, NEXT):
        publish_wave(home, as_of, listed=[0, 2, 4], held_out=[6])
    record(current_settings(), [event("C00", "accepted", NEXT), event("C06", "reached", NEXT)])
    [of_all, _] = steps.measure.fn("telco", steps.keep_waves.fn("telco"), extract, None).lifts
    assert (of_all.heads.contacted, of_all.heads.accepted, of_all.heads.leaked) == (1, 1, 1)
    assert of_all.alarm == "1 held out were contacted nevertheless: C06"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"channel": "call"}, "has no channel call: name one of "),
        ({"action": "no_such_thing"}, "has no action no_such_thing"),
        ({"team": "nroth"}, "has no team nroth: name one of north, south"),
        ({"customer_id": "C100"}, "the night of 2025-11-01 knows no customer C100"),
    ],
)
def test_a_name_that_the_list_does_not_know_is_refused_and_the_others_are_kept(home, wrong, told):
    """Kept, it would close no channel, and the customer would be called again."""
    publish_wave(home, FIRST, listed=[0, 2], held_out=[6])
    came = record(current_settings(), [event("C00", "refused").model_copy(update=wrong), event("C06", "reached")])
    assert came.new == 1
    assert told in came.refused[0].why


def test_of_a_list_that_is_kept_no_longer_every_name_is_taken(home):
    assert record(current_settings(), [event("C00", "refused").model_copy(update={"team": "gone"})]).new == 1


def event(customer: str, what: str, as_of: date = FIRST) -> Intervention:
    when = datetime(2025, 11, 3, 9, tzinfo=UTC)
    known = {"contract": "telco", "customer_id": customer, "as_of": as_of, "action": "service_call", "team": "north"}
    return Intervention.model_validate(
        known | {"channel": "phone", "event": what, "agent": "a", "occurred_at": when, "key": f"{customer} {what}"}
    )


@pytest.mark.parametrize(
    ("known_at", "ready"),
    [
        ("2025-11-30T23:59", False),  # its thirty days are not over
        ("2025-12-05T00:00", True),
        ("2025-12-15T00:00", True),
    ],
)
def test_a_wave_waits_until_its_horizon_is_over(home, extract, known_at, ready):
    publish_wave(home, FIRST, listed=[0], held_out=[6])
    found = measured(extract, known_at)
    assert bool(found.lifts) == ready
    assert found.waiting == (() if ready else (FIRST,))


def test_a_source_that_ends_before_the_horizon_proves_nothing(home: Publisher, tmp_path: Path) -> None:
    """Else nobody would seem to have left since it was copied."""
    publish_wave(home, FIRST, listed=[0], held_out=[6])
    assert measured(taken_in(tmp_path / "old", LEFT, "2025-11-30T23:00")).waiting == (FIRST,)
    assert measured(taken_in(tmp_path / "new", LEFT, "2025-12-01T00:30")).waiting == ()


def test_what_was_measured_is_kept_in_a_table_and_as_a_drawing(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=list(range(18)), held_out=[18, 19])
    found = measured(extract)
    rows = asked(current_settings(), "SELECT * FROM lift_current")
    assert [row["listed"] for row in rows] == [17, 17]
    assert tuple(rows[0]) == LIFT.names
    assert found.plot.read_text().startswith("<svg")


def test_a_wave_outlives_its_scores(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=[0, 1], held_out=[6])
    before = measured(extract).lifts
    shutil.rmtree(home.lake.published("telco", "scores"))
    assert measured(extract).lifts == before


def test_one_wave_may_be_asked_for(home: Publisher, extract: Extract) -> None:
    publish_wave(home, FIRST, listed=[0, 2, 4], held_out=[6])
    publish_wave(home, NEXT, listed=[8], held_out=[10])
    found = measured(extract)
    assert [one.first_as_of for one in steps.asked_for(found, "2025-11-01").lifts] == [FIRST]
    with pytest.raises(RequestError, match="'2025-11-31' is no date"):
        steps.asked_for(found, "2025-11-31")
    assert [one.first_as_of for one in steps.asked_for(found, "latest").lifts] == [NEXT]
    with pytest.raises(RequestError, match="the newest that can is 2025-11-02"):
        steps.asked_for(found, "2025-11-03")


@pytest.mark.parametrize("as_of", ["latest", "2025-11-01"])
def test_where_no_wave_is_over_none_is_named(home: Publisher, extract: Extract, as_of: str) -> None:
    publish_wave(home, FIRST, listed=[0, 2, 4], held_out=[6])
    with pytest.raises(RequestError, match=": no wave can be measured yet"):
        steps.asked_for(measured(extract, "2025-11-15T00:00"), as_of)


def test_without_any_list_there_is_nothing_to_compare(home: Publisher, extract: Extract) -> None:
    found = measured(extract)
    assert (found.lifts, found.waiting) == ((), ())


@pytest.mark.parametrize(
    ("asked", "refused"), [(None, False), ("latest", False), ("2026-02-28", False), ("2026-02-30", True)]
)
def test_a_date_that_is_none_is_refused_before_anything_is_measured(asked: str | None, refused: bool) -> None:
    with pytest.raises(RequestError, match="is no date") if refused else nullcontext():
        steps.require_wave(asked)
