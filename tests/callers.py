"""Callers of a service in a process of their own: `python -m tests.callers`, asked and answering in JSON.

They keep raw connections open and look at nothing but the status and the length of an answer: one takes them 0.05 ms,
so that on two cores the callers have one to themselves, and the service the other.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any

LARGEST_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Calls:
    """What to ask of a port, for how long, over how many lines; in turn on each or, with a rate, at that rate."""

    port: int
    requests: list[str]
    seconds: float
    callers: int = 512
    per_second: float = 0.0


@dataclass(slots=True)
class Heard:
    """What came of it: how many answers of each status, as `503 retry-after`, and the milliseconds that each took."""

    statuses: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # milliseconds by which the callers missed their own times
    seconds: float = 0.0

    @property
    def answers(self) -> int:
        """All of them, good or not."""
        return sum(self.statuses.values())

    @property
    def good(self) -> int:
        """Those that came with 200."""
        return self.statuses.get("200", 0)

    @property
    def good_per_second(self) -> float:
        """Of all the time that the callers called."""
        return self.good / self.seconds


def heard(calls: Calls) -> Heard:
    """Lets the callers call."""
    return heard_by("tests.callers", asdict(calls))


def heard_by(program: str, asked: dict[str, Any]) -> Heard:
    """What callers heard that are a program of their own, asked and answering in JSON."""
    told = subprocess.run(
        [sys.executable, "-m", program], input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True
    )
    return Heard(**json.loads(told.stdout))


class Line(asyncio.Protocol):
    """A connection with one request under way at most."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self.closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head = self._came.find(b"\r\n\r\n", 0, LARGEST_HEAD)
        if head < 0 or self._answer is None:
            return
        begins = self._came.find(b"content-length: ", 0, head) + len(b"content-length: ")
        length = int(self._came[begins : self._came.find(b"\r\n", begins)])
        if len(self._came) >= head + 4 + length:
            status = bytes(self._came[9:12])
            later = b" retry-after" if self._came.find(b"retry-after: ", 0, head) > 0 else b""
            self.closes = self._came.find(b"connection: close", 0, head) > 0
            self._came.clear()
            self._answer.set_result(status + later)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closes = True
        if self._answer and not self._answer.done():
            self._answer.set_result(b"cut off")

    async def ask(self, request: bytes) -> str:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]
        return (await self._answer).decode()


class Callers:
    """Ask one request after the other, from the first again once all were asked."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._requests = cycle([request.encode() for request in calls.requests])
        self._statuses = Counter[str]()
        self._free: asyncio.LifoQueue[Line | None] = asyncio.LifoQueue()
        for _ in range(calls.callers):
            self._free.put_nowait(None)
        self._heard = Heard()
        self._began = time.perf_counter()

    async def call(self) -> Heard:
        """What came of it all."""
        if self._calls.per_second:
            await self._at_rate()
        else:
            await asyncio.gather(*(self._in_turn() for _ in range(self._calls.callers)))
        self._heard.seconds, self._heard.statuses = time.perf_counter() - self._began, dict(self._statuses)
        return self._heard

    async def _in_turn(self) -> None:
        while time.perf_counter() - self._began < self._calls.seconds:
            await self._once()

    async def _at_rate(self) -> None:
        """Begins each at its time, whether or not those before have ended."""
        begun = []
        for number in range(int(self._calls.per_second * self._calls.seconds)):
            due = self._began + number / self._calls.per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))  # also where it is late, so that answers are read
            self._heard.late.append(1_000 * (time.perf_counter() - due))
            begun.append(asyncio.create_task(self._once()))
        await asyncio.gather(*begun)

    async def _once(self) -> None:
        """One request over the line that was free last, as a proxy does who keeps some."""
        line = await self._free.get()
        asked = time.perf_counter()
        try:
            if line is None or line.closes:  # the service waits for a while for another request on it
                line = await _line(self._calls.port)
            self._statuses[await line.ask(next(self._requests))] += 1
        except OSError as failed:
            self._statuses[type(failed).__name__] += 1
        finally:
            self._free.put_nowait(line)
        self._heard.milliseconds.append(1_000 * (time.perf_counter() - asked))


async def _line(port: int) -> Line:
    return (await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port))[1]


async def _called(calls: Calls) -> Heard:
    return await Callers(calls).call()


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_called(Calls(**json.loads(sys.stdin.read())))))))
