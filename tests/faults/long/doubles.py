"""F6: two runs of the same night that start at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from tests.faults.long.runs import begun, in_words
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.nights import Base
from tests.faults.processes import PROCESSES

TRIES = 20


def double_starts(ground: Ground) -> Iterator[Tally]:
    """Twins, of which one publishes and the other is told whose run holds the night, or that it is published."""
    return ground.on_both("F6", _start_many)


def _start_many(trials: Trials) -> None:
    for _ in range(TRIES):
        _start_one(trials)
    later = trials.tally.tries - trials.tally.landed
    trials.tally.remark = f"refused {trials.tally.landed}, came after the other's end {later}"


def _start_one(trials: Trials) -> None:
    as_of, gate = trials.tonight(), PROCESSES.Barrier(2)
    twins = [begun(a_twin, trials.base, as_of, gate) for _ in range(2)]
    said = sorted(twin.outcome() for twin in twins)
    shown = trials.committed(as_of)
    run = shown.run_id if shown else None
    refused, after = [f"AlreadyRunning run {run} holds it", f"published {run}"], [f"already published {run}"]
    if said[0].startswith(refused[0]) and said[1:] == refused[1:]:
        trials.tally.landed += 1
    elif said != [*after, f"published {run}"]:
        trials.tally.broken.append(f"{as_of}: {said}, and readers see {run}")
    trials.settle(as_of)


def a_twin(base: Base, as_of: date, gate: Barrier, told: Connection) -> None:
    """A night's run that begins when the other one does."""
    told.send("begins")
    gate.wait()
    told.send(in_words(base, as_of))
