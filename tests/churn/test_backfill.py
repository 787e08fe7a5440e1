"""Which past nights are scored when a range is asked for, or when nothing ran for a while."""

from __future__ import annotations

from datetime import date

import pytest

from churn.backfill import caught_up_until, nights_between, nights_missed
from churn.errors import RequestError

TODAY = date(2026, 3, 5)
FOURTH, THIRD, SECOND = date(2026, 3, 4), date(2026, 3, 3), date(2026, 3, 2)


def test_a_range_is_every_night_of_it_the_oldest_first() -> None:
    assert nights_between("2026-03-02", "2026-03-04", today=TODAY) == (SECOND, THIRD, FOURTH)
    assert nights_between("2026-03-04", "2026-03-04", today=TODAY) == (FOURTH,)


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-03-01", "2026-03-05", "2026-03-05 is not over"),
        ("2026-03-04", "2026-03-03", "comes before"),
        ("2026-02-30", "2026-03-03", "'2026-02-30' is no date"),
        ("2026-03-01", "soon", "'soon' is no date"),
        ("2025-01-28", "2026-03-04", "401 nights, more than 400"),
    ],
)
def test_an_impossible_range_is_refused(first: str, last: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        nights_between(first, last, today=TODAY)


@pytest.mark.parametrize(
    ("newest", "missed"),
    [
        (date(2026, 3, 1), (SECOND, THIRD, FOURTH, TODAY)),
        (FOURTH, (TODAY,)),
        (TODAY, ()),
        (date(2026, 3, 6), ()),
    ],
)
def test_missed_are_the_nights_after_the_newest(newest: date, missed: tuple[date, ...]) -> None:
    assert nights_missed(newest, TODAY) == missed


def test_who_slept_for_more_than_a_month_is_asked_which_nights_are_wanted() -> None:
    assert len(nights_missed(date(2026, 2, 2), TODAY)) == 31
    with pytest.raises(RequestError, match="32 nights are missing since 2026-02-01"):
        nights_missed(date(2026, 2, 1), TODAY)


def test_one_catches_up_until_today_unless_told_otherwise() -> None:
    assert caught_up_until(None, today=TODAY) == TODAY
    assert caught_up_until("2026-03-02", today=TODAY) == SECOND
    with pytest.raises(RequestError, match="has not come yet"):
        caught_up_until("2026-03-06", today=TODAY)
