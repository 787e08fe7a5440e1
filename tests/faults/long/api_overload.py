"""F17: five times what a worker can do, for ten seconds, then a third of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from tests.callers import Calls, Heard, heard
from tests.faults.long.api_service import Standing, served
from tests.faults.long.flood import Flood, flooded
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

OVERLOAD, ROUNDS, ROUND_SECONDS = 5.0, 3, 10.0 / 3
ASKED = 4.5  # times of what it can do, or it was no such overload: told then, and the goodput not judged
AFTERWARDS, AFTERWARDS_SECONDS = 0.3, 1.0
CALLERS, MEASURED_SECONDS = 8, 1.5
PROPER = {"200", "503 retry-after"}
GOODPUT = 0.8  # of what it does unhurried
LATEST = 2.0  # seconds; the deadline, and as long again for callers who are as hurried as the service
GROWTH = 20.0  # megabytes


@dataclass(frozen=True, slots=True)
class Round:
    """What a worker did unhurried, and right after it in a flood."""

    able: float  # predictions a second
    unhurried: float  # predictions in a second of the processor's time
    flooded: Heard
    in_flood: float  # the same as `unhurried`

    @property
    def asked(self) -> float:
        return self.flooded.answers / self.flooded.seconds / self.able

    @property
    def good_by_clock(self) -> float:
        return self.flooded.good_per_second / self.able

    @property
    def good_by_processor(self) -> float:
        """The same where neighbours on its core leave the worker less of it in one half of the round."""
        return self.in_flood / self.unhurried


def overload(ground: Ground) -> Iterator[Tally]:
    """Floods one worker on a core of its own, and looks whether it answers everybody and recovers at once."""
    tally = Tally("F17", "SQLite")
    with served(ground.home("F17")) as service:
        service.await_ready()
        _flood(service, tally)
    yield tally


def _flood(service: Standing, tally: Tally) -> None:
    its_core, other = _two_cores()
    if its_core is not None:
        service.keep_to(its_core)
    heard(_calls(service, 1.0))  # the first answers of a process are slower
    before = service.memory()
    rounds = [_round(service, other) for _ in range(ROUNDS)]
    able = median(each.able for each in rounds)
    after = flooded(Flood(service.port, _request(service), AFTERWARDS * able, AFTERWARDS_SECONDS, other))
    _judge(tally, rounds, after, service.memory() - before)


def _two_cores() -> tuple[int, int] | tuple[None, None]:
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _request(service: Standing) -> str:
    return service.prediction.decode()


def _calls(service: Standing, seconds: float) -> Calls:
    return Calls(service.port, [_request(service)], seconds, callers=CALLERS)


def _round(service: Standing, core: int | None) -> Round:
    """Both halves, one right after the other, since what the machine does besides changes with time."""
    begins = service.cpu_seconds()
    unhurried = heard(_calls(service, MEASURED_SECONDS))
    able, midway = unhurried.good_per_second, service.cpu_seconds()
    flood = flooded(Flood(service.port, _request(service), OVERLOAD * able, ROUND_SECONDS, core))
    taken = service.cpu_seconds() - midway
    return Round(able, unhurried.good / (midway - begins), flood, flood.good / taken)


def _judge(tally: Tally, rounds: list[Round], after: Heard, grown: float) -> None:
    floods = [each.flooded for each in rounds]
    answers, slowest = sum(flood.answers for flood in floods), max(max(flood.milliseconds) for flood in floods) / 1_000
    tally.tries, tally.landed = answers + after.answers, answers
    tally.reads = after.good + sum(flood.good for flood in floods)
    for flood in floods:
        tally.lost += [f"{number} x {how} in overload" for how, number in flood.statuses.items() if how not in PROPER]
    tally.lost += [f"{number} x {how} right after it" for how, number in after.statuses.items() if how != "200"]
    tally.broken += [f"an answer took {slowest:.2f} s"] if slowest > LATEST else []
    tally.broken += [f"grew by {grown:.0f} MB"] if grown > GROWTH else []
    _judge_goodput(tally, rounds)
    late = np.quantile([wait for flood in floods for wait in flood.late], 0.99)
    tally.remark += f", slowest {slowest:.2f} s, callers late by {late:.0f} ms, {grown:+.0f} MB"


def _judge_goodput(tally: Tally, rounds: list[Round]) -> None:
    asked = median(each.asked for each in rounds)
    by_processor = median(each.good_by_processor for each in rounds)
    by_clock = median(each.good_by_clock for each in rounds)
    good = max(by_processor, by_clock)
    if asked >= ASKED and good < GOODPUT:
        tally.broken.append(f"{good:.2f} of its predictions, even for the same processor's time")
    tally.remark = (
        f"able {median(each.able for each in rounds):.0f}/s, asked {asked:.1f}x,"
        f" good by processor {by_processor:.2f} and by clock {by_clock:.2f}"
    )
