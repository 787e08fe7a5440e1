"""F17: five times what a worker can do, for ten seconds, then a third of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.callers import Calls, Heard, heard
from tests.faults.long.api_service import Standing, served
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

OVERLOAD, OVERLOAD_SECONDS = 5.0, 10.0
AFTERWARDS, AFTERWARDS_SECONDS = 0.3, 1.0
CALLERS, MEASURED_SECONDS = 8, 3.0
PROPER = {"200", "503 retry-after"}
GOODPUT = 0.8  # of what it does unhurried, for the same of the processor's time: callers take theirs from it, too
LATEST = 2.0  # seconds; the deadline, and as long again for callers who are as hurried as the service
# Milliseconds by which callers may miss their times. Where a busy machine holds them up for longer they come in bursts,
# which is another load than five times what the worker can do: how much of it was good is told then, and not judged.
EVEN = 20.0
GROWTH = 20.0  # megabytes


def overload(ground: Ground) -> Iterator[Tally]:
    """Floods one worker, and looks whether it answers everybody and recovers at once."""
    tally = Tally("F17", "SQLite")
    with served(ground.home("F17")) as service:
        service.await_ready()
        _flood(service, tally)
    yield tally


def _flood(service: Standing, tally: Tally) -> None:
    request = [service.prediction.decode()]
    heard(Calls(service.port, request, 1.0, callers=CALLERS))  # the first answers of a process are slower
    unhurried, at_ease = _timed(service, Calls(service.port, request, MEASURED_SECONDS, callers=CALLERS))
    able, before = unhurried.good_per_second, service.memory()
    flooded, in_flood = _timed(service, Calls(service.port, request, OVERLOAD_SECONDS, per_second=OVERLOAD * able))
    after = heard(Calls(service.port, request, AFTERWARDS_SECONDS, per_second=AFTERWARDS * able))
    by_processor, by_clock = in_flood / at_ease, flooded.good_per_second / able
    grown, slowest = service.memory() - before, max(flooded.milliseconds) / 1_000
    tally.tries, tally.landed = flooded.answers + after.answers, flooded.answers
    tally.reads = flooded.good + after.good
    tally.lost += [f"{number} x {how} in overload" for how, number in flooded.statuses.items() if how not in PROPER]
    tally.lost += [f"{number} x {how} right after it" for how, number in after.statuses.items() if how != "200"]
    tally.broken += [f"an answer took {slowest:.2f} s"] if slowest > LATEST + max(flooded.late) / 1_000 else []
    tally.broken += [f"grew by {grown:.0f} MB"] if grown > GROWTH else []
    good, late = max(by_processor, by_clock), float(np.quantile(flooded.late, 0.99))
    if good < GOODPUT and late < EVEN:
        tally.broken.append(f"{good:.2f} of its predictions, even for the same processor's time")
    tally.remark = (
        f"able {able:.0f}/s, asked {flooded.answers / flooded.seconds / able:.1f}x,"
        f" good by processor {by_processor:.2f}"
        f" and by clock {by_clock:.2f}, slowest {slowest:.2f} s,"
        f" callers late by {late:.0f} ms, {grown:+.0f} MB"
    )


def _timed(service: Standing, calls: Calls) -> tuple[Heard, float]:
    """What was heard, and how many predictions the worker made in a second of the processor's time."""
    before = service.cpu_seconds()
    came = heard(calls)
    return came, came.good / (service.cpu_seconds() - before)
