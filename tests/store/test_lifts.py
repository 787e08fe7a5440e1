"""What waves saved is kept each time it is measured, once for a moment; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from churn.lift_figures import Heads, Lift, Size, lift_rows
from schemas.lift import Scope, Verdict
from store.lifts import keep_lifts
from store.settings import Settings
from tests.waves import asked

FIRST, NEXT = datetime.fromisoformat("2026-03-01T06:00"), datetime.fromisoformat("2026-03-08T06:00")
LAST = "SELECT * FROM lift_current WHERE contract = 'telco'"
FOUND = Lift(
    scope=Scope.WAVE,
    first_as_of=date(2026, 1, 1),
    last_as_of=date(2026, 1, 1),
    action="all",
    heads=Heads(180, 20, 20, 4, 150, 30, 0),
    effect=None,
    saved=None,
    spent=360.0,
    sample_ratio_p=1.0,
    size=Size(12_143, 9),
    verdict=Verdict.NOT_YET,
    alarm=None,
    says="Not yet.",
)


@pytest.fixture
def kept(settings: Settings, database_with_tables: str) -> Settings:
    return replace(settings, database_url=database_with_tables)


def test_what_was_measured_last_is_told_and_the_earlier_stays(kept: Settings):
    then = replace(FOUND, spent=380.0)
    for rows in (lift_rows([FOUND], "telco", FIRST), lift_rows([then], "telco", NEXT), lift_rows([FOUND], "o", FIRST)):
        keep_lifts(kept, rows)
    assert [row["spent"] for row in asked(kept, LAST)] == [380.0]
    earlier = asked(kept, "SELECT spent FROM lift WHERE contract = 'telco' ORDER BY known_at")
    assert [row["spent"] for row in earlier] == [360.0, 380.0]


def test_measuring_a_moment_again_replaces_what_was_measured_then(kept: Settings):
    keep_lifts(kept, lift_rows([FOUND, replace(FOUND, action="call")], "telco", FIRST))
    keep_lifts(kept, lift_rows([FOUND], "telco", FIRST))
    assert [row["action"] for row in asked(kept, LAST)] == ["all"]


def test_before_anything_was_measured_there_is_nothing(kept: Settings):
    keep_lifts(kept, lift_rows([], "telco", FIRST))
    assert asked(kept, LAST) == []
