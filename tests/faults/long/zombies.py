"""F7: runs that stand still at a random moment, lose their night to another run, and wake up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from tests.faults.long.runs import Chance, a_later_run, a_told_run, begun, chance_of
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.processes import Run, start

TRIES = 25
PATIENCE = 5  # times the usual seconds has the next run before the one that stands still is woken
LOST = (
    "Fenced",
    "FileNotFoundError",
)  # a zombie meets the fence, or finds its files cleared away


def woken_zombies(ground: Ground) -> Iterator[Tally]:
    """Zombies, which change nothing of what the run published that took over from them."""
    return ground.on_both("F7", _stop_many)


def _stop_many(trials: Trials) -> None:
    chance = chance_of(trials)
    said = [_stop_one(trials, chance) for _ in range(TRIES)]
    fenced, cleared, locked = (said.count(word) for word in (*LOST, "locked"))
    trials.tally.remark = f"fenced {fenced}, found its files cleared away {cleared}, kept the next run waiting {locked}"


def _stop_one(trials: Trials, chance: Chance) -> str:
    """What the zombie says in the end; `locked` where the next run had to wait for it to wake."""
    as_of = trials.tonight()
    with _stopped(begun(a_told_run, trials.base, as_of), chance) as zombie:
        met = trials.in_flight(as_of) is not None
        trials.tally.landed += met
        if zombie.told.poll():
            chance.came_too_late()
        heir = start(a_later_run, trials.base, as_of)
        alone = heir.told.poll(PATIENCE * chance.seconds)
        zombie.wake()
        said = [zombie.outcome(), heir.outcome()]
    _judge(trials, as_of, said, fenced=met and alone)
    trials.settle(as_of)
    return said[0].split()[0] if alone else "locked"


@contextmanager
def _stopped(run: Run, chance: Chance) -> Iterator[Run]:
    """The run, standing still since some moment; it is gone afterwards, awake or not."""
    chance.wait()
    try:
        run.halt()
        yield run
    finally:
        run.kill()


def _judge(trials: Trials, as_of: date, said: list[str], *, fenced: bool) -> None:
    """One of the two published, and the zombie did not, if it had lost the night."""
    zombie, heir = said
    shown = trials.committed(as_of)
    run = shown.run_id if shown else None
    if fenced and not (zombie.startswith(LOST) and heir == f"published {run}"):
        trials.tally.broken.append(f"{as_of}: the zombie {zombie}, its heir {heir}")
    if [zombie, heir].count(f"published {run}") != 1:
        trials.tally.broken.append(f"{as_of}: {said}, and readers see {run}")
