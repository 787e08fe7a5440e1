"""F7: runs that stand still at a random moment, lose their night to another run, and wake up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing.connection import Connection

from tests.faults.long.runs import a_told_run, begun, usual_seconds, wait_for_chance
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.nights import Base, days_later, outcome
from tests.faults.processes import Run, start

TRIES = 25
PATIENCE = 5  # seconds that the next run gets before the one that stands still is woken


def woken_zombies(ground: Ground) -> Iterator[Tally]:
    """Zombies, which change nothing of what the run published that took over from them."""
    return ground.on_both("F7", _stop_many)


def _stop_many(trials: Trials) -> None:
    seconds = usual_seconds(trials.base, trials.next_night())
    said = [_stop_one(trials, seconds) for _ in range(TRIES)]
    fenced, locked = said.count("Fenced"), said.count("locked")
    trials.tally.remark = f"fenced {fenced}; stopped inside a transaction that kept the next run waiting {locked}"


def _stop_one(trials: Trials, seconds: float) -> str:
    """What the zombie says in the end; `locked` where the next run had to wait for it to wake."""
    as_of = trials.tonight()
    with _stopped(begun(a_told_run, trials.base, as_of), trials, seconds) as zombie:
        met = trials.in_flight(as_of) is not None
        trials.tally.landed += met
        heir = start(a_later_run, trials.base, as_of)
        alone = heir.told.poll(PATIENCE)
        zombie.wake()
        said = [zombie.outcome(), heir.outcome()]
    _judge(trials, as_of, said, fenced=met and alone)
    trials.settle(as_of)
    return said[0].split()[0] if alone else "locked"


@contextmanager
def _stopped(run: Run, trials: Trials, seconds: float) -> Iterator[Run]:
    """The run, standing still since some moment; it is gone afterwards, awake or not."""
    wait_for_chance(trials.random, seconds)
    try:
        os.kill(int(run.process.pid or 0), signal.SIGSTOP)
        yield run
    finally:
        run.kill()


def _judge(trials: Trials, as_of: date, said: list[str], *, fenced: bool) -> None:
    """One of the two published, and the zombie did not, if it had lost the night."""
    zombie, heir = said
    shown = trials.committed(as_of)
    run = shown.run_id if shown else None
    if fenced and not (zombie.startswith("Fenced") and heir == f"published {run}"):
        trials.tally.broken.append(f"{as_of}: the zombie {zombie}, its heir {heir}")
    if [zombie, heir].count(f"published {run}") != 1:
        trials.tally.broken.append(f"{as_of}: {said}, and readers see {run}")


def a_later_run(base: Base, as_of: date, told: Connection) -> None:
    """The night's next run, after the lease of the one before."""
    publisher = base.publisher()
    days_later(publisher)
    told.send(outcome(publisher, as_of))
