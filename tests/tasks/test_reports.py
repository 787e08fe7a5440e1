"""What a night's summary says of the champions that scored it."""

from __future__ import annotations

from datetime import datetime

from store.registry import Event
from tasks.reports import objections_to

REFUSAL = "the gate default refused version 1 by its rule calibration: the slope is .511, to be .8 to 1.25"


def change(segment: str, version: int, overridden: str | None = None) -> Event:
    when, why = datetime.fromisoformat("2026-01-01T04:00"), "the first model of this base"
    return Event(when, "telco", segment, "promotion", None, version, "a flow", why, overridden)


def test_a_champion_that_the_gate_refused_is_named_each_night() -> None:
    told = f"version 1 scores all by an override (the first model of this base): {REFUSAL}"
    assert objections_to([change("all", 1, REFUSAL), change("prepaid", 2)]) == (told,)


def test_an_objection_ends_with_the_champion_whom_it_was_about() -> None:
    assert objections_to([change("all", 1, REFUSAL), change("all", 2)]) == ()
