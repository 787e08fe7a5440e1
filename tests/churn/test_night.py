"""Which date is scored, and up to which moment facts count."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from churn.errors import RequestError
from churn.night import Due, chosen_as_of, chosen_known_at, matured_months

TODAY = date(2026, 3, 5)
NOW = datetime(2026, 3, 5, 4, 0)  # noqa: DTZ001 (business time is naive)


@pytest.mark.parametrize(
    ("asked", "latest", "chosen"),
    [
        (None, date(2026, 3, 1), TODAY),
        ("2026-02-01", date(2026, 3, 1), date(2026, 2, 1)),
        ("latest", date(2026, 3, 1), date(2026, 3, 1)),
    ],
)
def test_as_of_is_asked_for_or_scheduled(asked: str | None, latest: date, chosen: date) -> None:
    assert chosen_as_of(asked, scheduled=TODAY, latest=latest) == chosen


@pytest.mark.parametrize(("asked", "latest"), [("2026-02-30", None), ("latest", None)])
def test_an_impossible_as_of_is_refused(asked: str, latest: date | None) -> None:
    with pytest.raises(RequestError, match="as_of"):
        chosen_as_of(asked, scheduled=TODAY, latest=latest)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, datetime(2026, 3, 1)),  # noqa: DTZ001
        ("2026-03-04", datetime(2026, 3, 4)),  # noqa: DTZ001
        ("2026-03-04T13:30", datetime(2026, 3, 4, 13, 30)),  # noqa: DTZ001
    ],
)
def test_facts_count_up_to_the_start_of_the_date_unless_asked(asked: str | None, chosen: datetime) -> None:
    assert chosen_known_at(asked, as_of=date(2026, 3, 1), now=NOW) == chosen


@pytest.mark.parametrize(
    ("asked", "why"), [("2026-03-06", "has not come"), ("2026-02-27", "is before"), ("2026-03-04T99:00", "no moment")]
)
def test_an_impossible_known_at_is_refused(asked: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        chosen_known_at(asked, as_of=date(2026, 3, 1), now=NOW)


@pytest.mark.parametrize(
    ("known_at", "months"),
    [
        (datetime(2026, 3, 31), [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]),  # noqa: DTZ001
        (datetime(2026, 3, 30), [date(2026, 1, 1), date(2026, 2, 1)]),  # noqa: DTZ001
        (datetime(2026, 3, 30, 23, 59), [date(2026, 1, 1), date(2026, 2, 1)]),  # noqa: DTZ001
    ],
)
def test_a_month_teaches_once_its_horizon_has_passed(known_at: datetime, months: list[date]) -> None:
    assert list(matured_months(known_at, first=date(2026, 1, 1), horizon_days=30)) == months


def test_a_year_of_months_is_enough() -> None:
    assert len(matured_months(NOW, first=date(2020, 1, 1), horizon_days=30)) == 12


def test_no_month_to_learn_from_is_refused() -> None:
    with pytest.raises(RequestError, match="no month between"):
        matured_months(NOW, first=date(2026, 3, 1), horizon_days=30)


@pytest.mark.parametrize(
    ("zone", "as_of", "behind_from"),
    [
        ("Europe/London", date(2026, 1, 5), "2026-01-06T06:00"),
        ("Europe/London", date(2026, 7, 5), "2026-07-06T05:00"),
        ("Europe/London", date(2026, 3, 28), "2026-03-29T05:00"),  # the clocks go forward in the night between
        ("Europe/London", date(2026, 10, 24), "2026-10-25T06:00"),  # and back
        ("America/Los_Angeles", date(2026, 1, 5), "2026-01-06T14:00"),
        ("Pacific/Auckland", date(2026, 1, 5), "2026-01-05T17:00"),
    ],
)
def test_readers_are_behind_once_the_next_night_is_due_in_the_morning_of_the_business_zone(
    zone: str, as_of: date, behind_from: str
) -> None:
    assert Due(time(6), ZoneInfo(zone)).behind_from(as_of) == datetime.fromisoformat(behind_from)
