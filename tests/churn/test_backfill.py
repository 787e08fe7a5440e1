"""Which past nights are scored when a range is asked for, or when nothing ran for a while."""

from __future__ import annotations

from datetime import date

import pytest

from churn.backfill import caught_up_until, nights_between, nights_missed, nights_to_list
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


FIRST = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("published", "missed"),
    [
        ([FIRST], [SECOND, THIRD, FOURTH, TODAY]),
        ([FIRST, FOURTH], [SECOND, THIRD, TODAY]),
        ([FIRST, THIRD, TODAY], [SECOND, FOURTH]),
        ([FOURTH], [TODAY]),  # nothing was promised before the first night
        ([TODAY], []),
        ([date(2026, 3, 6)], []),
    ],
)
def test_missed_are_the_nights_since_the_first_that_were_never_published(
    published: list[date], missed: list[date]
) -> None:
    assert nights_missed(published, TODAY) == tuple(missed)


def test_a_gap_of_more_than_a_month_ago_is_left_alone() -> None:
    long_ago, newest = date(2025, 1, 1), date(2026, 3, 4)
    missed = nights_missed([long_ago, newest], TODAY)
    assert (missed[0], missed[-1], len(missed)) == (date(2026, 2, 3), TODAY, 30)


def test_who_slept_for_more_than_a_month_is_asked_which_nights_are_wanted() -> None:
    assert len(nights_missed([date(2026, 2, 2)], TODAY)) == 31
    with pytest.raises(RequestError, match="32 nights are missing since 2026-02-01"):
        nights_missed([date(2026, 2, 1)], TODAY)


@pytest.mark.parametrize(
    ("listed", "until", "wanted"),
    [
        ([], TODAY, (TODAY,)),
        ([FOURTH], TODAY, (TODAY,)),
        ([TODAY], TODAY, ()),
        ([], FOURTH, ()),  # by now it would be stale
    ],
)
def test_only_todays_night_gets_a_list_and_only_one(listed: list[date], until: date, wanted: tuple[date, ...]) -> None:
    assert nights_to_list(listed, until, today=TODAY) == wanted


def test_one_catches_up_until_today_unless_told_otherwise() -> None:
    assert caught_up_until(None, today=TODAY) == TODAY
    assert caught_up_until("2026-03-02", today=TODAY) == SECOND
    with pytest.raises(RequestError, match="has not come yet"):
        caught_up_until("2026-03-06", today=TODAY)
