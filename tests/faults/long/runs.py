"""Runs that say when they begin, so that what befalls them can be timed to befall them midway."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import Connection
from random import Random
from typing import TYPE_CHECKING, Any

from tests.faults.nights import Base, days_later, outcome
from tests.faults.processes import SECONDS, Run, start

if TYPE_CHECKING:
    from tests.faults.long.trials import Trials  # which a run's own process would import for nothing

SOONER = 0.95


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


@dataclass(slots=True)
class Chance:
    """A random moment of a run; one that came after the run's end makes the next ones come a little sooner."""

    random: Random
    seconds: float

    def wait(self) -> None:
        time.sleep(self.random.uniform(0, self.seconds))

    def came_too_late(self) -> None:
        self.seconds *= SOONER


def chance_of(trials: Trials) -> Chance:
    """Some moment of a run that takes as long as one does now, on this machine and beside these readers."""
    run, began = begun(a_told_run, trials.base, trials.next_night()), time.perf_counter()
    assert run.outcome().startswith("published")
    return Chance(trials.random, time.perf_counter() - began)
