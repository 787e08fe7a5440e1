"""Which past nights are to be scored: those of a range that was asked for, or those that were missed."""

from __future__ import annotations

from datetime import date, timedelta

from churn.errors import RequestError

MOST_NIGHTS = 400  # a year and a month; a range that is longer has a slip in it
MOST_MISSED = 31  # after more than a month somebody should say which nights are still worth having


def nights_between(first: str, last: str, *, today: date) -> tuple[date, ...]:
    """The nights from the first to the last date, both with them, the oldest first.

    RequestError where a text is no date, where the last comes before the first or is not over yet, or where there are
    more than 400.
    """
    begin, end = _date(first, "first"), _date(last, "last")
    if end >= today:
        raise RequestError(f"{end} is not over", where="last", to_do=f"Give {_day_before(today)} or an earlier date.")
    if end < begin:
        raise RequestError(f"{end} comes before {begin}", where="last", to_do="Give the older date first.")
    nights = _days(begin, end)
    if len(nights) > MOST_NIGHTS:
        raise RequestError(
            f"{begin} to {end} are {len(nights):,} nights, more than {MOST_NIGHTS}",
            where="first",
            to_do="Ask for a shorter range; what is published already costs nothing to ask for again.",
        )
    return nights


def nights_missed(newest: date, until: date) -> tuple[date, ...]:
    """The nights after the newest published one up to a date, the oldest first; empty where there are none.

    RequestError where there are more than 31.
    """
    nights = _days(newest + timedelta(days=1), until)
    if len(nights) > MOST_MISSED:
        raise RequestError(
            f"{len(nights):,} nights are missing since {newest}, more than {MOST_MISSED}",
            where="catch-up",
            to_do="Run the nightly flow for the newest, and ask with `churn backfill` for the others that are wanted.",
        )
    return nights


def caught_up_until(asked: str | None, *, today: date) -> date:
    """The date that was asked for, or today; RequestError where it is no date, or still to come."""
    until = today if asked is None else _date(asked, "until")
    if until > today:
        raise RequestError(f"{until} has not come yet", where="until", to_do=f"Give {today} or an earlier date.")
    return until


def _days(first: date, last: date) -> tuple[date, ...]:
    return tuple(first + timedelta(days=days) for days in range((last - first).days + 1))


def _day_before(day: date) -> date:
    return day - timedelta(days=1)


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{text!r} is no date", where=where, to_do="Give one such as 2026-01-01.") from None
