"""Which published runs are kept, and which go."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from churn.errors import PolicyError
from churn.retention import Held, nights_to_keep, parse_retention, runs_to_go
from schemas.retention import Retention

RULES = Retention(
    name="brief",
    version="1.0.0",
    description="Three nights and two month ends.",
    nights=3,
    month_ends=2,
    list_nights=5,
    superseded_days=7,
    working_days=7,
    grace_hours=24,
)
NEWEST = date(2026, 3, 20)
NOW = datetime.fromisoformat("2026-03-20T04:00")


def held(days_ago: int, run_id: str = "", kind: str = "scores", **facts: object) -> Held:
    """A run of the night so many days before the newest, published when that night began."""
    night = NEWEST - timedelta(days=days_ago)
    published = datetime.combine(night, NOW.time())
    run = Held(run_id or f"{kind} {days_ago}", "telco", kind, night, published, current=days_ago == 0)
    return replace(run, **facts)  # type: ignore[arg-type]


def gone(*runs: Held, now: datetime = NOW) -> list[str]:
    return list(runs_to_go(runs, RULES, now))


def test_the_newest_nights_and_the_ends_of_the_newest_months_are_kept() -> None:
    nights = [NEWEST - timedelta(days=days) for days in range(90)]
    kept = nights_to_keep(nights, newest=3, month_ends=3)
    assert sorted(map(str, kept)) == ["2026-01-31", "2026-02-28", "2026-03-18", "2026-03-19", "2026-03-20"]


def test_the_end_of_a_month_is_the_last_night_that_there_is_of_it() -> None:
    assert nights_to_keep([date(2026, 1, 30), date(2026, 1, 5)], newest=1, month_ends=1) == {date(2026, 1, 30)}


def test_scores_of_older_nights_go_and_lists_stay_for_longer() -> None:
    nights = [held(days, kind=kind) for days in range(8) for kind in ("scores", "outreach")]
    assert gone(*nights) == [
        *("scores 3", "scores 4"),
        *(f"{kind} {days}" for days in (5, 6, 7) for kind in ("scores", "outreach")),
    ]


def test_each_base_has_its_own_newest_nights() -> None:
    assert gone(held(0), held(9, base="iranian", current=True), held(8, "older", base="iranian")) == []


@pytest.mark.parametrize(("days_later", "stays"), [(6, True), (7, False)])
def test_an_earlier_revision_is_kept_for_a_week_after_another_took_its_place(days_later: int, stays: bool) -> None:
    first = held(2, "first", shown=False)
    second = held(2, "second", published_at=NOW - timedelta(days=1))
    assert gone(first, second, now=second.published_at + timedelta(days=days_later)) == ([] if stays else ["first"])


def test_what_readers_of_the_newest_night_see_never_goes() -> None:
    assert gone(held(400, current=True), *(held(days, current=False) for days in range(3))) == []


def test_a_list_from_which_somebody_was_contacted_never_goes() -> None:
    newer = [held(days, kind="outreach") for days in range(5)]
    assert gone(*newer, held(90, kind="outreach", sent=True), held(91, kind="outreach")) == ["outreach 91"]


def test_what_a_reader_may_still_be_at_stays() -> None:
    backfilled = held(10, "backfilled", published_at=NOW - timedelta(hours=23))
    nights = [held(days) for days in range(4)]
    assert gone(*nights, backfilled) == ["scores 3"]
    assert gone(*nights, backfilled, now=NOW + timedelta(hours=1)) == ["scores 3", "backfilled"]


def test_each_run_that_goes_says_why() -> None:
    superseded = [held(1, "first", shown=False, published_at=NOW - timedelta(days=30)), held(1, "second")]
    runs = [held(0), *superseded, held(2), held(3)]
    assert runs_to_go(runs, RULES, NOW + timedelta(days=9)) == {
        "first": "a later revision took its place on 2026-03-19",
        "scores 3": "2026-03-17 is none of the nights that are kept",
    }


def test_a_policy_with_a_slip_is_refused_field_by_field() -> None:
    fields = RULES.model_dump() | {"nights": 0, "grace_hours": None, "night": 5}
    with pytest.raises(PolicyError, match=r"nights: .*; grace_hours: .*; night: ") as refused:
        parse_retention(fields, "mine.yaml")
    assert refused.value.where == "mine.yaml"
