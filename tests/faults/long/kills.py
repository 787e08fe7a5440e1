"""F3: runs that are killed at a random moment."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.long.runs import a_told_run, begun, usual_seconds, wait_for_chance
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials

LANDED = 80  # on each database
MOST_TRIES = 240
SOONER = 0.95  # after a kill that came too late, the next one comes within this share of the time


def random_kills(ground: Ground) -> Iterator[Tally]:
    """Kills until enough of them met a run under way: before its commit, or in what it does after."""
    return ground.on_both("F3", _kill_many)


def _kill_many(trials: Trials) -> None:
    tally, seconds = trials.tally, usual_seconds(trials.base, trials.next_night())
    while tally.landed < LANDED and tally.tries < MOST_TRIES:
        seconds *= 1 if _kill_one(trials, seconds) else SOONER
    tally.remark = f"killed within {seconds:.2f} s of their begin"
    if tally.landed < LANDED:
        tally.broken.append(f"only {tally.landed} of {MOST_TRIES} kills met a run under way")


def _kill_one(trials: Trials, seconds: float) -> bool:
    """Whether the kill came before the run had ended."""
    as_of = trials.tonight()
    run = begun(a_told_run, trials.base, as_of)
    wait_for_chance(trials.random, seconds)
    run.kill()
    in_time = run.outcome() == "killed"
    trials.tally.landed += in_time and trials.has_begun(as_of)
    trials.settle(as_of)
    return in_time
