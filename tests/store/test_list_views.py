"""BI reads what came of each wave: how many customers of each action, once each, and what was measured last."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from store.interventions import record
from store.migrations import bring_up_to_date
from store.settings import Settings
from store.tables import engine_for
from tests.contacts import contact
from tests.waves import asked

WAVE, NEXT = date(2026, 1, 1), date(2026, 1, 2)


@pytest.fixture
def kept(settings: Settings, database_with_tables: str) -> Settings:
    return replace(settings, database_url=database_with_tables)


def test_a_customer_counts_once_for_each_event_of_his_wave(kept: Settings) -> None:
    told = [
        (WAVE, "C1", "call", "assigned"),
        (WAVE, "C1", "call", "attempted"),
        (WAVE, "C1", "call", "attempted"),
        (WAVE, "C1", "call", "reached"),
        (WAVE, "C2", "call", "reached"),
        (WAVE, "C2", "call", "refused"),
        (WAVE, "C3", "sms", "accepted"),
        (NEXT, "C4", "call", "offered"),
    ]
    names = ("customer_id", "action", "event", "key")
    record(
        kept, [contact(day, **dict(zip(names, (*what, str(at)), strict=True))) for at, (day, *what) in enumerate(told)]
    )
    counted = "SELECT as_of, action, assigned, attempted, reached, offered, accepted, refused FROM outreach_outcomes"
    rows = [list(row.values()) for row in asked(kept, f"{counted} ORDER BY as_of, action")]
    assert [[str(as_of), *figures] for as_of, *figures in rows] == [
        ["2026-01-01", "call", 1, 1, 2, 0, 0, 1],
        ["2026-01-01", "sms", 0, 0, 0, 0, 1, 0],
        ["2026-01-02", "call", 0, 0, 0, 1, 0, 0],
    ]


def test_before_anything_came_of_a_list_the_views_are_there_and_empty(kept: Settings) -> None:
    bring_up_to_date(engine_for(kept.database_url))
    for view in ("outreach_outcomes", "lift_current", "uplift_current"):
        assert asked(kept, f"SELECT * FROM {view}") == []
