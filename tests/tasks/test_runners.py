"""A run's name says what it does, and for which night or on which day, so that a page of runs can be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import runners
from tasks.runners import dated, move_name, run_name

# The last hour of a day by UTC, and by the business zone's clock the next day.
DUE = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
MOVE = {"action": "promote", "version": 3, "contract": "telco", "segments": "all"}
NAMES: list[tuple[Callable[[], str], dict[str, Any], str]] = [
    # by                              asked for                                what the run is called
    (run_name, {"contract": "telco", "as_of": None}, "telco as of 2026-07-02"),
    (run_name, {"contract": "telco", "as_of": "2026-01-01"}, "telco as of 2026-01-01"),
    (move_name, MOVE, "promote version 3 of telco for all, 2026-07-02"),
    (move_name, MOVE | {"action": "rollback", "version": None}, "rollback of telco for all, 2026-07-02"),
    (dated("to run {run}"), {"run": "000003-d3e18fe4"}, "to run 000003-d3e18fe4, 2026-07-02"),
]


@pytest.mark.parametrize(("name", "asked", "called"), NAMES)
def test_a_run_is_called_by_what_it_does_and_when(
    name: Callable[[], str], asked: dict[str, Any], called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_ZONE", "Europe/Berlin")
    run = SimpleNamespace(parameters=asked, scheduled_start_time=DUE)
    monkeypatch.setattr(runners, "runtime", SimpleNamespace(flow_run=run))
    assert name() == called
