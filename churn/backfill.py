"""Which past nights are to be scored: those of a range that was asked for, or those that were missed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from churn.errors import RequestError
from churn.night import date_of

DAY = timedelta(days=1)
MOST_NIGHTS = 400  # a year and a month; a range that is longer has a slip in it
MOST_MISSED = 31  # after more than a month somebody should say which nights are still worth having


def nights_between(first: str, last: str, *, today: date) -> tuple[date, ...]:
    """The nights from the first to the last date, both with them, the oldest first.

    RequestError where a text is no date, where the last comes before the first or is not over yet, or where there are
    more than 400.
    """
    begin, end = date_of(first, "first"), date_of(last, "last")
    if end >= today:
        raise RequestError(f"{end} is not over", where="last", to_do=f"Give {today - DAY} or an earlier date.")
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


def nights_missed(published: Collection[date], until: date) -> tuple[date, ...]:
    """The nights up to a date that were never published, the oldest first, since the first one that was.

    `published`, of which there is one at least, are all that ever were, kept or not. A gap further back than 31 nights
    is left alone; RequestError where more than 31 are missing since the newest.
    """
    newest = max(published)
    since = len(_days(newest + DAY, until))
    if since > MOST_MISSED:
        raise RequestError(
            f"{since:,} nights are missing since {newest}, more than {MOST_MISSED}",
            where="catch-up",
            to_do="Run the nightly flow for the newest, and ask with `churn backfill` for the others that are wanted.",
        )
    oldest = max(min(published), until - (MOST_MISSED - 1) * DAY)
    return tuple(night for night in _days(oldest, until) if night not in published)


def nights_to_list(listed: Collection[date], until: date, *, today: date) -> tuple[date, ...]:
    """Today's night, where it is caught up with and has no list yet; a list for any other would be stale."""
    return (today,) if until == today and today not in listed else ()


def caught_up_until(asked: str | None, *, today: date) -> date:
    """The date that was asked for, or today; RequestError where it is no date, or still to come."""
    until = today if asked is None else date_of(asked, "until")
    if until > today:
        raise RequestError(f"{until} has not come yet", where="until", to_do=f"Give {today} or an earlier date.")
    return until


def _days(first: date, last: date) -> tuple[date, ...]:
    return tuple(first + days * DAY for days in range((last - first).days + 1))
