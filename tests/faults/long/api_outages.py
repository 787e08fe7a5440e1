"""F18: what the service needs is away or damaged: a database that swallows or refuses, a registry of bad models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median

import numpy as np
from sqlalchemy import make_url

from churn.contract import parse_contract
from schemas.odcs_text import contract_text
from store.artifacts import model_folder
from store.registry import Promotion, open_registry
from store.settings import Settings, read_settings
from tests import cards, postgres_server
from tests.api.service import TINY, promoted, publish, registered, scored
from tests.faults.damage import cut_short, flip_a_byte
from tests.faults.long.api_service import Answer, Standing, at_rate, environment, free_port, serving
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

POLL = {"CHURN_POLL_SECONDS": "0.2"}
ROUNDS, PHASE_SECONDS = 5, 3.0
PREDICTIONS_PER_SECOND, LOOKUPS_PER_SECOND = 80.0, 5.0
REFUSED_WITHIN, RECOVERED_WITHIN, TOLD_WITHIN = 2.0, 5.0, 20.0  # seconds
TIMES_AT_EASE = 2.0  # of a prediction's 99th percentile, the median of the rounds
SLOWEST_TO_MIND = 0.02  # seconds; below, it is the callers' own delay
ANOTHER = parse_contract(contract_text(cards.contract(name="another")), where="tests")


def outages(ground: Ground) -> Iterator[Tally]:
    """Loses the database in both ways, then offers a champion that cannot be read in four."""
    with postgres_server.database(ground.server) as url:
        yield _database_away(ground.home("F18"), url)
    yield _models_bad(ground.home("F18"))


class Line(StrEnum):
    """What becomes of what is sent to the database."""

    OPEN = "open"
    SWALLOWED = "swallows"
    REFUSED = "refuses"


class Door:
    """Stands between the service and its database. What it swallows it keeps, as a network that is mended does."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self._to = to
        self._open = asyncio.Event()
        self._lines: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def become(self, line: Line) -> None:
        """Lets through, swallows, or refuses from now on."""
        (self._open.set if line is Line.OPEN else self._open.clear)()
        if line is Line.REFUSED and self._server:
            self._server.close()
            self._server = None
            for ends in tuple(self._lines):
                ends.transport.abort()
        elif line is Line.OPEN and self._server is None:
            self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    async def _pass_on(self, reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
        await self._open.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._lines |= {writes, back}
        await asyncio.gather(self._pipe(reads, back), self._pipe(there, writes), return_exceptions=True)
        self._lines -= {writes, back}

    async def _pipe(self, reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
        while data := await reads.read(65_536):
            await self._open.wait()
            writes.write(data)
            await writes.drain()
        writes.close()


def _database_away(home: Path, url: str) -> Tally:
    tally = Tally("F18 database", "PostgreSQL")
    settings = read_settings(environment(home, CHURN_DATABASE_URL=url))
    rows = scored(cards.customers(20), promoted(settings))
    publish(settings, "scores", cards.AS_OF, scores=rows)
    asyncio.run(_lose(home, url, tally))
    return tally


async def _lose(home: Path, url: str, tally: Tally) -> None:
    server = make_url(url)
    door = Door(server.port or 5432)
    await door.become(Line.OPEN)
    through = server.set(port=door.port).render_as_string(hide_password=False)
    async with _beside(environment(home, CHURN_DATABASE_URL=through, **POLL)) as service:
        await service.until(lambda answer: answer.status == 200)
        await service.until(lambda answer: answer.status == 200, LOOKUP)
        await _asked(service, Tally("", ""), lookups=200)  # the first answers of a process are slower
        for line in (Line.SWALLOWED, Line.REFUSED):
            _judge(tally, line, [await _lose_once(service, door, line, tally) for _ in range(ROUNDS)])


@dataclass(frozen=True, slots=True)
class Outage:
    """A time at ease and an outage right after it; all in seconds."""

    at_ease: float  # the 99th percentile of predictions
    predictions: float  # the same in the outage
    lookup: float  # the slowest in the outage
    named: float  # until readiness said what is away
    back: float  # from the outage's end until all was well again

    @property
    def times(self) -> float:
        """How much slower predictions were than at ease."""
        return self.predictions / self.at_ease


async def _lose_once(service: Standing, door: Door, line: Line, tally: Tally) -> Outage:
    at_ease, _ = await _asked(service, tally, lookups=200)
    await door.become(line)
    predictions, lookup = await _asked(service, tally, lookups=503)
    named = await service.until(_names("database"), seconds=TOLD_WITHIN)
    await door.become(Line.OPEN)
    back = await service.until(lambda answer: answer.status == 200, LOOKUP)
    ready = await service.until(lambda answer: answer.status == 200)
    tally.landed += 1
    return Outage(at_ease, predictions, lookup, PHASE_SECONDS + named, back + ready)


LOOKUP = "/api/v1/customers/C000001"


@asynccontextmanager
async def _beside(variables: dict[str, str]) -> AsyncIterator[Standing]:
    """The service, whose start and end wait for this loop, since its database lies behind a door of it."""
    running = serving(variables, TINY.name)
    service = await asyncio.to_thread(running.__enter__)
    try:
        yield service
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _asked(service: Standing, tally: Tally, lookups: int) -> tuple[float, float]:
    """The seconds of the 99th percentile of predictions, and those of the slowest look-up."""
    predictions: list[Answer] = []
    looks: list[Answer] = []

    async def predict() -> None:
        predictions.append(await service.ask(service.prediction))

    async def look() -> None:
        looks.append(await service.ask(service.request(LOOKUP)))

    await asyncio.gather(
        at_rate(predict, PREDICTIONS_PER_SECOND, PHASE_SECONDS), at_rate(look, LOOKUPS_PER_SECOND, PHASE_SECONDS)
    )
    tally.tries += len(predictions) + len(looks)
    tally.reads += len(predictions)
    tally.lost += [f"a prediction: {answer.status}" for answer in predictions if answer.status != 200]
    tally.broken += [f"a look-up: {answer.status}, not {lookups}" for answer in looks if answer.status != lookups]
    slowest = max(answer.seconds for answer in looks)
    return float(np.quantile([answer.seconds for answer in predictions], 0.99)), slowest


def _judge(tally: Tally, line: Line, outages: list[Outage]) -> None:
    """Holds each outage against what was right before it: a busy machine is slow in both, and not for long alike."""
    times, slow = median(outage.times for outage in outages), median(outage.predictions for outage in outages)
    lookup, back = max(outage.lookup for outage in outages), max(outage.back for outage in outages)
    too_slow = times > TIMES_AT_EASE and slow > SLOWEST_TO_MIND
    tally.broken += [f"{line}: predictions took {slow:.3f} s, {times:.1f} times as long as at ease"] if too_slow else []
    tally.broken += [f"{line}: a look-up waited {lookup:.2f} s"] if lookup > REFUSED_WITHIN else []
    tally.broken += [f"{line}: back after {back:.1f} s"] if back > RECOVERED_WITHIN else []
    tally.remark += (
        f"{'; ' if tally.remark else ''}{line}: predictions p99 {1000 * slow:.0f} ms, {times:.1f} x as at ease,"
        f" look-ups 503 within {lookup:.2f} s, named within {max(outage.named for outage in outages):.0f} s,"
        f" back within {back:.1f} s"
    )


def _models_bad(home: Path) -> Tally:
    tally = Tally("F18 models", "SQLite")
    settings = read_settings(environment(home))
    promoted(settings)
    with serving(environment(home, **POLL), TINY.name) as service:
        asyncio.run(_offer_all(service, settings, tally))
    return tally


async def _offer_all(service: Standing, settings: Settings, tally: Tally) -> None:
    await service.until(lambda answer: answer.status == 200)
    spoilt: dict[str, Callable[[Path], None]] = {
        "away": _move_away,
        "truncated": lambda folder: cut_short(folder / CELLS),
        "of another digest": lambda folder: flip_a_byte(folder / CELLS),
    }
    for number, (how, spoil) in enumerate(spoilt.items()):
        card = replace(cards.card(), intercept=-1.0 - 0.1 * number)
        await _offer(service, settings, tally, how, registered(settings, card), spoil)
    card = replace(cards.card(), intercept=-1.5)
    await _offer(service, settings, tally, "of another base", registered(settings, card, ANOTHER), lambda folder: None)


CELLS = "cells.npy"


async def _offer(
    service: Standing, settings: Settings, tally: Tally, how: str, number: int, spoil: Callable[[Path], None]
) -> None:
    """Makes a model champion that cannot be used, and then the one of before again."""
    registry = open_registry(settings)
    spoil(model_folder(registry.version(TINY.name, number).digest, settings))
    _promote(settings, number, 1)
    told = await service.until(_warns("champion"), seconds=TOLD_WITHIN)
    answers = [await service.ask(service.prediction) for _ in range(20)]
    _promote(settings, 1, number)
    back = await service.until(_silent("champion"), seconds=TOLD_WITHIN)
    tally.tries += len(answers)
    tally.landed += 1
    tally.reads += sum(answer.status == 200 for answer in answers)
    tally.lost += [f"{how}: {answer.status}" for answer in answers if answer.status != 200]
    tally.partial += [f"{how}: answered" for answer in answers if answer.json["model"]["version"] != 1]
    tally.broken += [f"{how}: back after {back:.1f} s"] if back > RECOVERED_WITHIN else []
    tally.remark += f"{'; ' if tally.remark else ''}{how}: named after {told:.1f} s, well again after {back:.1f} s"


def _promote(settings: Settings, number: int, instead_of: int) -> None:
    wish = Promotion(TINY.name, number, instead_of, who="tests", why="to try it", segments=("all",), override=True)
    open_registry(settings).promote(wish)


def _move_away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _names(what: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == 503 and what in answer.json.get("missing", {})


def _warns(what: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == 200 and what in answer.json["warnings"]


def _silent(what: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == 200 and what not in answer.json["warnings"]
