"""A day and a moment are text with a day in it; what is a number, or of an impossible year, is refused."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.moments import Day, Happened

DAY, MOMENT = TypeAdapter[Any](Day), TypeAdapter[Any](Happened)
NO_DAYS = ["1735689600", "0", "-1", "1e9", " 20260101", 1735689600, 0.5, True, None, ""]
NO_MOMENTS = ["1735689600", 1735689600, "2026-01-01", "2026-01-01T09:00:00"]
YEARS = [
    # moment                       taken
    ("1999-12-31T23:59:59Z", False),
    ("2000-01-01T00:00:00+14:00", True),
    ("8999-12-31T23:59:59-14:00", True),
    ("9000-01-01T00:00:00Z", False),
    ("0000-01-01T00:00:00Z", False),
]


def test_a_day_is_text():
    assert DAY.validate_python("2026-01-31") == DAY.validate_json('"2026-01-31"') == date(2026, 1, 31)


@pytest.mark.parametrize("value", NO_DAYS)
def test_seconds_since_1970_are_no_day(value: object):
    with pytest.raises(ValidationError):
        DAY.validate_python(value)


@pytest.mark.parametrize("value", NO_MOMENTS)
def test_neither_seconds_since_1970_nor_what_lacks_a_zone_is_a_moment(value: object):
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)


@pytest.mark.parametrize(("moment", "taken"), YEARS)
def test_the_schema_has_the_years_that_are_taken(moment: str, taken: bool):
    assert bool(re.search(MOMENT.json_schema()["pattern"], moment)) is taken
    if taken:
        assert MOMENT.validate_python(moment).isoformat()[:4] == moment[:4]
    else:
        with pytest.raises(ValidationError):
            MOMENT.validate_python(moment)
