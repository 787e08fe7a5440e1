"""F17: five times what a worker can do, for ten seconds, then a third of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from tests.faults.long.api_service import Answer, Standing, at_rate, served
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

OVERLOAD, OVERLOAD_SECONDS = 5.0, 10.0
AFTERWARDS, AFTERWARDS_SECONDS = 0.3, 1.0
CALLERS, MEASURED_SECONDS = 8, 3.0
GOODPUT = 0.8  # of what it does unhurried
LATEST = 2.0  # seconds; the deadline, and as long again for callers who are as hurried as the service
GROWTH = 20.0  # megabytes


def overload(ground: Ground) -> Iterator[Tally]:
    """Floods one worker, and looks whether it answers everybody and recovers at once."""
    tally = Tally("F17", "SQLite")
    with served(ground.home("F17")) as service:
        asyncio.run(_flood(service, tally))
    yield tally


async def _flood(service: Standing, tally: Tally) -> None:
    await service.until(lambda answer: answer.status == 200)
    able, before = await _capacity(service), service.memory()
    flooded = await _asked(service, able * OVERLOAD, OVERLOAD_SECONDS)
    after = await _asked(service, able * AFTERWARDS, AFTERWARDS_SECONDS)
    good, grown = sum(answer.status == 200 for answer in flooded) / OVERLOAD_SECONDS, service.memory() - before
    slowest = max(answer.seconds for answer in flooded)
    tally.tries, tally.landed = len(flooded) + len(after), len(flooded)
    tally.reads = sum(answer.status == 200 for answer in (*flooded, *after))
    tally.lost += [f"{answer.status} in overload" for answer in flooded if not _proper(answer)]
    tally.lost += [f"{answer.status} in the first second after it" for answer in after if answer.status != 200]
    tally.broken += [f"an answer took {slowest:.2f} s"] if slowest > LATEST else []
    tally.broken += [f"grew by {grown:.0f} MB"] if grown > GROWTH else []
    tally.broken += [f"{good:.0f} of {able:.0f} predictions a second"] if good < GOODPUT * able else []
    asked = len(flooded) / OVERLOAD_SECONDS / able
    tally.remark = (
        f"able {able:.0f}/s, asked {asked:.1f}x, good {good / able:.2f}, slowest {slowest:.2f} s, {grown:+.0f} MB"
    )


def _proper(answer: Answer) -> bool:
    return answer.status == 200 or (answer.status == 503 and "retry-after" in answer.headers)


async def _capacity(service: Standing) -> float:
    """Predictions a second for a few callers who wait for their answers."""
    ends, request, answered = time.monotonic() + MEASURED_SECONDS, service.prediction, []

    async def one_after_the_other() -> None:
        while time.monotonic() < ends:
            answered.append((await service.ask(request)).status)

    await asyncio.gather(*(one_after_the_other() for _ in range(CALLERS)))
    return answered.count(200) / MEASURED_SECONDS


async def _asked(service: Standing, per_second: float, seconds: float) -> list[Answer]:
    answers, request = [], service.prediction

    async def once() -> None:
        answers.append(await service.ask(request))

    await at_rate(once, per_second, seconds)
    return answers
