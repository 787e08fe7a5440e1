"""Days and moments in messages: written as text, and told with their offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

_BEGINS_WITH_A_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def written_as_day(value: object) -> object:
    """The value, unless it is a number or a text of digits: Pydantic would take those for seconds since 1970."""
    written = isinstance(value, str) and _BEGINS_WITH_A_DAY.match(value.strip())
    if written or isinstance(value, date):
        return value
    raise ValueError("must be text such as 2026-01-31, not a number")


def _said_to_be_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def business_moment(moment: datetime, zone: tzinfo) -> datetime:
    """What the business's clocks showed, kept without a zone, with its offset from UTC."""
    return moment.replace(tzinfo=zone)


Day = Annotated[date, BeforeValidator(written_as_day)]
UtcMoment = Annotated[datetime, AfterValidator(_said_to_be_utc)]  # kept without a zone, told with one

# Moments near the calendar's ends have no name in other zones. JSON Schema has no bounds for moments, but patterns.
FIRST_YEAR, LAST_YEAR = 2000, 8999
_YEARS = r"^[2-8]\d{3}-"


def _within_years(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment


Happened = Annotated[
    AwareDatetime,
    BeforeValidator(written_as_day),
    AfterValidator(_within_years),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _YEARS}),
]
