"""Runs that say when they begin, so that what befalls them can be timed to befall them midway."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from random import Random
from typing import Any

from tests.faults.nights import Base, days_later, outcome
from tests.faults.processes import SECONDS, Run, start


def a_told_run(base: Base, as_of: date, told: Connection) -> None:
    """A night's run that says when it begins, and what became of it."""
    told.send("begins")
    told.send(in_words(base, as_of))


def a_later_run(base: Base, as_of: date, told: Connection) -> None:
    """The night's next run, after the lease of the one before."""
    days_later(base.publisher())
    told.send(in_words(base, as_of))


def in_words(base: Base, as_of: date) -> str:
    """What becomes of the night's run, whichever way it ends."""
    try:
        return outcome(base.publisher(), as_of)
    except Exception as failed:  # there is no room, or whoever took the night over has cleared its files away
        return f"{type(failed).__name__} {failed}"


def begun(target: Callable[..., None], *arguments: Any) -> Run:
    """Such a run, which has just begun."""
    run = start(target, *arguments)
    assert run.told.poll(SECONDS)
    assert run.told.recv() == "begins"
    return run


def usual_seconds(base: Base, as_of: date) -> float:
    """How long the night's run takes on this machine, beside the readers of now."""
    run, began = begun(a_told_run, base, as_of), time.perf_counter()
    assert run.outcome().startswith("published")
    return time.perf_counter() - began


def wait_for_chance(random: Random, seconds: float) -> None:
    """Until some moment of a run that takes so long."""
    time.sleep(random.uniform(0, seconds))
