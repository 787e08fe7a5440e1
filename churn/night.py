"""Which date a night is for, and up to which moment facts count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from churn.errors import RequestError

LATEST = "latest"
MONTHS_TO_LEARN_FROM = 12  # a year holds every season once; what is older describes another market


@dataclass(frozen=True, slots=True)
class Due:
    """When each night's scores are due: on the morning of the date that they describe, by the business clock."""

    at: time
    zone: tzinfo

    def behind_from(self, as_of: date) -> datetime:
        """The moment, in UTC, from which readers of that night are behind, since the scores of the next are due."""
        next_morning = datetime.combine(as_of + timedelta(days=1), self.at, self.zone)
        return next_morning.astimezone(UTC).replace(tzinfo=None)


def chosen_as_of(asked: str | None, *, scheduled: date, latest: date | None) -> date:
    """The date to score: the one asked for, the latest that the source covers, or the day the run was scheduled for.

    RequestError where the text is no date, or where `latest` is asked of a source that does not know it.
    """
    if asked is None:
        return scheduled
    if asked != LATEST:
        return date_of(asked)
    if latest is None:
        raise RequestError(
            "the source does not say which dates it covers", where="as_of", to_do="Give a date such as 2026-01-01."
        )
    return latest


def chosen_known_at(asked: str | None, *, as_of: date, now: datetime) -> datetime:
    """The moment up to which facts count: the one asked for, or the start of the as-of date (business time, naive).

    RequestError where it is before the as-of date, in the future, or no moment at all.
    """
    moment = datetime.combine(as_of, time.min) if asked is None else _moment(asked)
    if moment > now:
        raise RequestError(f"{moment} has not come yet", where="known_at", to_do="Give a moment in the past.")
    if moment.date() < as_of:
        raise RequestError(
            f"{moment} is before {as_of}, so that night's facts were not known yet",
            where="known_at",
            to_do="Give the as-of date or a later moment.",
        )
    return moment


def matured_months(known_at: datetime, *, first: date, horizon_days: int) -> tuple[date, ...]:
    """The firsts of months, oldest first, from `first` on, whose horizon had passed by `known_at`; the last 12."""
    months: list[date] = []
    month = (known_at - timedelta(days=horizon_days)).date().replace(day=1)
    while month >= first and len(months) < MONTHS_TO_LEARN_FROM:
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    if not months:
        raise RequestError(
            f"no month between {first} and {known_at:%Y-%m-%d} has been over for {horizon_days} days",
            where="training",
            to_do="Wait until a month's outcomes are known, or take in more history.",
        )
    return tuple(reversed(months))


def require_night(asked: str | None) -> None:
    """RequestError where a night is asked for by what is no date, nor the word for the latest."""
    if asked not in (None, LATEST):
        date_of(str(asked))


def date_of(text: str, where: str = "as_of") -> date:
    """The date that the text gives; RequestError, naming `where` it was given, if it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{text!r} is no date", where=where, to_do="Give one such as 2026-01-01.") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{text!r} is no moment", where="known_at", to_do="Give 2026-01-01T00:00.") from None
    if moment.tzinfo is not None:
        raise RequestError(f"{text!r} says a zone", where="known_at", to_do="Give the moment in business time alone.")
    return moment
