"""F3: runs that are killed at a random moment."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.long.runs import Chance, a_told_run, begun, chance_of
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials

LANDED = 80  # on each database
MOST_TRIES = 240


def random_kills(ground: Ground) -> Iterator[Tally]:
    """Kills until enough of them met a run under way: before its commit, or in what it does after."""
    return ground.on_both("F3", _kill_many)


def _kill_many(trials: Trials) -> None:
    tally, chance = trials.tally, chance_of(trials)
    while tally.landed < LANDED and tally.tries < MOST_TRIES:
        _kill_one(trials, chance)
    tally.remark = f"killed within {chance.seconds:.2f} s of their begin"
    if tally.landed < LANDED:
        tally.broken.append(f"only {tally.landed} of {MOST_TRIES} kills met a run under way")


def _kill_one(trials: Trials, chance: Chance) -> None:
    as_of = trials.tonight()
    run = begun(a_told_run, trials.base, as_of)
    chance.wait()
    run.kill()
    if run.outcome() == "killed":
        trials.tally.landed += trials.has_begun(as_of)
    else:
        chance.came_too_late()
    trials.settle(as_of)
