"""F20: bodies that are odd, huge or slow, from many senders at once, while somebody asks whether the service lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http import HTTPStatus

from tests.api.hungry_bodies import HUNGRY_BODIES, RATES
from tests.api.odd_bodies import ODD_BODIES, OddBody
from tests.callers import Calls, Heard, heard
from tests.faults.long.api_service import PREDICTIONS, Answer, Standing, read_answer, served
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

HUGE, PIECE = 100_000_000, 64 * 1024  # bytes
SLOW_SENDERS, A_BYTE_EACH = 150, 1.0  # seconds
# Seconds between two slow bodies: of so many in one moment most find the queue full. Long before the first has had his
# time all of them are there.
APART = 0.01
LONGEST_ANSWER = 4_000  # bytes
LATEST = 10.0  # seconds until the slowest sender is answered; he has five himself
LIVE_SECONDS, LIVE_PER_SECOND = 25.0, 50.0
BATCH = f"{PREDICTIONS}/batch"
OBJECTS = b"[" + b"{}," * 99_999 + b"{}]"  # of which a batch may be large enough, and has too many rows
SLOWEST_LIVE = 100.0  # milliseconds
TIMES_AT_EASE = 4.0  # on a machine so busy that even at ease the slowest takes nearly as long
GROWTH = 20.0  # megabytes


def odd_bodies(ground: Ground) -> Iterator[Tally]:
    """Sends them all to one worker."""
    tally = Tally("F20", "SQLite")
    with served(ground.home("F20"), CHURN_RATES=RATES) as service:
        service.await_ready()
        asyncio.run(_send_all(service, tally))
    yield tally


async def _send_all(service: Standing, tally: Tally) -> None:
    at_ease = await asyncio.to_thread(_asked_whether_it_lives, service, LIVE_SECONDS / 4)
    alive = asyncio.create_task(asyncio.to_thread(_asked_whether_it_lives, service, LIVE_SECONDS))
    grown = max([await _growth(service, answered) for answered in _odd_hungry_and_huge(service, tally)])
    await asyncio.gather(
        _slow_ones(service, tally, "slow headers", service.prediction[:100]),
        _slow_ones(service, tally, "slow bodies", service.prediction[:-10], APART),
    )
    tally.broken += ["nobody asked to the end whether it lives"] if alive.done() else []
    _judge(tally, at_ease, await alive, grown)


def _odd_hungry_and_huge(service: Standing, tally: Tally) -> Iterator[Awaitable[None]]:
    """Each is sent when it is awaited."""
    for odd in ODD_BODIES:
        yield _answered(tally, odd.status, odd.name, service.ask(_request(service, odd)))
    for hungry in HUNGRY_BODIES:
        asked = service.ask(service.request(hungry.path, hungry.body, "POST"))
        yield _answered(tally, hungry.status, hungry.name, asked)
    objects = service.ask(service.request(BATCH, OBJECTS))
    yield _answered(tally, HTTPStatus.UNPROCESSABLE_ENTITY, "100,000 objects in a batch", objects)
    yield _answered(tally, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "100 MB, said so", _pour(service, _declared))
    yield _answered(tally, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "100 MB in chunks", _pour(service, _chunked))


async def _growth(service: Standing, answered: Awaitable[None]) -> float:
    """Megabytes more than before that the workers held at once until it was answered."""
    before = service.memory()
    service.forget_peak()
    await answered
    return service.peak() - before


def _judge(tally: Tally, at_ease: Heard, alive: Heard, grown: float) -> None:
    slowest, allowed = max(alive.milliseconds), max(SLOWEST_LIVE, TIMES_AT_EASE * max(at_ease.milliseconds))
    tally.reads = alive.good
    tally.lost += [f"{number} x {how} to who asks" for how, number in alive.statuses.items() if how != "200"]
    tally.broken += [f"/health/live took {slowest:.0f} ms"] if slowest > allowed else []
    tally.broken += [f"grew by {grown:.0f} MB"] if grown > GROWTH else []
    tally.remark = (
        f"{len(ODD_BODIES)} odd bodies, {len(HUNGRY_BODIES)} hungry ones, 2 x 100 MB, 2 x {SLOW_SENDERS} slow"
        " senders; /health/live at most"
        f" {slowest:.0f} ms, {max(at_ease.milliseconds):.0f} at ease; {grown:+.0f} MB"
    )


def _asked_whether_it_lives(service: Standing, seconds: float) -> Heard:
    live = service.request("/health/live").decode()
    return heard(Calls(service.port, [live], seconds, per_second=LIVE_PER_SECOND))


async def _answered(tally: Tally, status: int, name: str, asked: Awaitable[Answer]) -> None:
    """Counts one answer, and notes where it is another than it should be."""
    tally.tries += 1
    try:
        answer = await asyncio.wait_for(asked, LATEST)
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as failed:
        tally.lost.append(f"{name}: {failed!r}")
        return
    tally.landed += 1
    tally.broken += [f"{name}: {answer.status}, not {status}"] if answer.status != status else []
    tally.broken += [f"{name}: {len(answer.body)} bytes"] if len(answer.body) > LONGEST_ANSWER else []


def _request(service: Standing, odd: OddBody) -> bytes:
    return service.request(PREDICTIONS, odd.body, "POST", kind=odd.kind)


Pieces = Callable[[Standing], AsyncIterator[bytes]]


async def _declared(service: Standing) -> AsyncIterator[bytes]:
    """A body that says how large it is."""
    yield service.request(PREDICTIONS, method="POST", length=f"content-length: {HUGE}")
    for _ in range(HUGE // PIECE):
        yield b" " * PIECE


async def _chunked(service: Standing) -> AsyncIterator[bytes]:
    """One that does not."""
    yield service.request(PREDICTIONS, method="POST", length="transfer-encoding: chunked")
    for _ in range(HUGE // PIECE):
        yield b"%x\r\n%s\r\n" % (PIECE, b" " * PIECE)


async def _pour(service: Standing, pieces: Pieces) -> Answer:
    """Sends until an answer comes."""
    reads, writes = await asyncio.open_connection("127.0.0.1", service.port)
    answer = asyncio.create_task(read_answer(reads, time.monotonic()))
    async for piece in pieces(service):
        if answer.done() or writes.is_closing():
            break
        writes.write(piece)
        await asyncio.wait({answer, asyncio.create_task(_drained(writes))}, return_when=asyncio.FIRST_COMPLETED)
    answered = await answer
    writes.close()
    return answered


async def _drained(writes: asyncio.StreamWriter) -> None:
    try:
        await writes.drain()
    except ConnectionError:
        return


async def _slow_ones(service: Standing, tally: Tally, name: str, begins: bytes, apart: float = 0.0) -> None:
    """Many side by side who send the begin of a request, and then a byte now and again."""
    alike = (
        _answered(tally, HTTPStatus.REQUEST_TIMEOUT, name, _begun(service, begins, number * apart))
        for number in range(SLOW_SENDERS)
    )
    await asyncio.gather(*alike)


async def _begun(service: Standing, begins: bytes, wait: float) -> Answer:
    await asyncio.sleep(wait)
    reads, writes = await asyncio.open_connection("127.0.0.1", service.port)
    answer = asyncio.create_task(read_answer(reads, time.monotonic()))
    writes.write(begins)
    while not (await asyncio.wait({answer}, timeout=A_BYTE_EACH))[0]:
        writes.write(b"n")
    writes.close()
    return answer.result()
