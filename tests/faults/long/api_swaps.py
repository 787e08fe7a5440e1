"""F19: champions that change and workers that are replaced, under load."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from churn.lookup import score_one
from churn.metrics import probability
from tests import cards
from tests.faults.long.api_service import CUSTOMER, Answer, Standing, at_rate, next_champion, served
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

SWAPS, RESTARTS = 20, 4
PER_SECOND = 50.0
ANSWER_SECONDS = 30.0  # after which nobody waits any more: an answer is lost then
RESTART_SECONDS = 150.0  # for workers who have thirty each, and fifteen for what the old ones are at


def swaps_and_restarts(ground: Ground) -> Iterator[Tally]:
    """Changes champions and restarts workers while customers are scored all the while."""
    tally = Tally("F19", "SQLite")
    with served(ground.home("F19"), workers=2, CHURN_POLL_SECONDS="0.1") as service:
        asyncio.run(_change(service, tally))
    yield tally


async def _change(service: Standing, tally: Tally) -> None:
    await service.until(lambda answer: answer.status == 200)
    golden, answers, over = {1: _golden(-3.0)}, [], asyncio.Event()
    load = asyncio.create_task(_load(service, answers, tally, over))
    for number in range(SWAPS):
        intercept = -3.0 + 0.05 * (number + 1)
        version = (await asyncio.to_thread(next_champion, service.settings, intercept)).version
        golden[version] = _golden(intercept)
        await service.until(_answers_with(version))
        tally.landed += 1
    for _ in range(RESTARTS):
        await _restart(service)
        tally.landed += 1
    over.set()
    await load
    tally.tries = SWAPS + RESTARTS
    tally.reads = len(answers)
    tally.lost += [f"{answer.status}" for answer in answers if answer.status != 200]
    good = [answer for answer in answers if answer.status == 200]
    tally.partial += [answer.body.decode() for answer in good if not _matches(answer, golden)]
    versions = {answer.json["model"]["version"] for answer in good}
    slowest = max((answer.seconds for answer in answers), default=0.0)
    tally.remark = f"{len(versions)} versions answered, the slowest answer took {slowest:.2f} s"


async def _load(service: Standing, answers: list[Answer], tally: Tally, over: asyncio.Event) -> None:
    request = service.prediction

    async def once() -> None:
        try:
            answers.append(await asyncio.wait_for(service.ask(request), ANSWER_SECONDS))
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as failed:
            tally.lost.append(repr(failed))

    while not over.is_set():
        await at_rate(once, PER_SECOND, 1.0)


async def _restart(service: Standing) -> None:
    """Until none of the workers of before is left, and as many serve again."""
    before, ends = set(service.workers()), asyncio.get_running_loop().time() + RESTART_SECONDS
    service.process.send_signal(signal.SIGHUP)
    while before & set(service.workers()) or len(service.workers()) != len(before):
        if asyncio.get_running_loop().time() > ends:
            raise TimeoutError("the workers were not replaced")
        await asyncio.sleep(0.1)


def _answers_with(version: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == 200 and answer.json["model"]["version"] == version


def _golden(intercept: float) -> float:
    card = replace(cards.card(), intercept=intercept)
    return float(probability(np.array([score_one(card, CUSTOMER).log_odds])).item())


def _matches(answer: Answer, golden: dict[int, float]) -> bool:
    told = json.loads(answer.body)
    return bool(told["probability"] == golden.get(told["model"]["version"]))
