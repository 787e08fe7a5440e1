"""The service in processes of its own, on a small base, and callers who count what becomes of every request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from api.tokens import issue_token
from store.keyring import open_keyring
from store.registry import Promotion, Version, open_registry
from store.service_settings import ONE_THREAD
from store.settings import Settings, read_settings
from tests import cards
from tests.api.service import OPERATOR, TINY, promoted, registered

PREDICTIONS, JSON = "/api/v1/predictions", "application/json"
ROOT = Path(__file__).parent.parent.parent.parent
CUSTOMER = {"customer_id": "C1", "bill": 31.5, "tenure": 12, "dropped": 0.03, "in_contract": False, "plan": "P2"}
START_SECONDS = 120.0  # on a machine that does a lot besides
BOUNDLESS = "predictions=60000000,lookups=60000000"


@dataclass(slots=True)
class Answer:
    """What came back, and how long after it was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Standing:
    """A running service."""

    settings: Settings
    port: int
    process: subprocess.Popen[bytes]
    token: str
    lines: list[Line] = field(default_factory=list)

    def request(
        self, path: str, body: bytes = b"", method: str = "", *, kind: str | None = JSON, length: str = ""
    ) -> bytes:
        """A request as it goes over the wire; `length` is the header that tells it, if another than the body's own."""
        method = method or ("POST" if body else "GET")
        lines = [f"{method} {path} HTTP/1.1", "host: churn", f"authorization: Bearer {self.token}", "x-purpose: tests"]
        if method == "POST":
            lines += [f"content-type: {kind}"] if kind else []
            lines += [length or f"content-length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    @property
    def prediction(self) -> bytes:
        """A usual request for one."""
        return self.request(PREDICTIONS, json.dumps(CUSTOMER).encode())

    async def ask(self, request: bytes) -> Answer:
        """Over a connection that is free, or a new one; from one that had been closed meanwhile it asks anew."""
        while True:
            line = self.lines.pop() if self.lines else Line(self.port)
            kept = line.used
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                answer = await line.ask(request)
                if answer.headers.get("connection") == "close":
                    line.close()
                else:
                    self.lines.append(line)
                return answer
            line.close()
            if not kept:
                raise ConnectionError("a new connection gave no answer")

    async def until(self, wanted: Callable[[Answer], bool], path: str = "/health/ready", seconds: float = 0.0) -> float:
        """Seconds until the path is answered as wanted."""
        began = time.monotonic()
        while time.monotonic() - began < (seconds or START_SECONDS):
            with suppress(OSError, asyncio.IncompleteReadError):
                if wanted(await self.ask(self.request(path))):
                    return time.monotonic() - began
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{path} was not answered as it should be")

    def workers(self) -> list[int]:
        """The processes that serve."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, listed) if _is_worker(pid)]

    def await_ready(self) -> None:
        """Waits until it says so."""
        asyncio.run(self.until(lambda answer: answer.status == HTTPStatus.OK))
        self.lines.clear()  # they belong to the loop that has just ended

    def cpu_seconds(self) -> float:
        """The processor's time that the workers' threads have taken, to the nanosecond."""
        told = [(thread / "schedstat").read_text().split() for thread in self._threads()]
        return sum(int(fields[0]) for fields in told) / 1e9

    def keep_to(self, core: int) -> None:
        """Leaves the workers one core of the machine, and others to whoever calls them."""
        for thread in self._threads():
            os.sched_setaffinity(int(thread.name), {core})

    def _threads(self) -> list[Path]:
        return [thread for pid in self.workers() for thread in Path(f"/proc/{pid}/task").iterdir()]

    def memory(self) -> float:
        """Megabytes that the workers hold."""
        return self._megabytes("VmRSS")

    def peak(self) -> float:
        """The most megabytes that each of the workers held since `forget_peak`, together."""
        return self._megabytes("VmHWM")

    def forget_peak(self) -> None:
        """Counts the peak from what they hold now."""
        for pid in self.workers():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _megabytes(self, of: str) -> float:
        told = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return sum(int(text.split(f"{of}:")[1].split()[0]) for text in told) / 1024


def _is_worker(process: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False


class Line:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.used = False

    async def ask(self, request: bytes) -> Answer:
        began = time.monotonic()
        self._ends = self._ends or await asyncio.open_connection("127.0.0.1", self._port)
        reads, writes = self._ends
        writes.write(request)
        answer = await read_answer(reads, began)
        self.used = True
        return answer

    def close(self) -> None:
        if self._ends:
            self._ends[1].close()


async def read_answer(reads: asyncio.StreamReader, began: float) -> Answer:
    """The next answer on the connection."""
    first, *rest = (await reads.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(header.split(": ", 1) for header in rest if header)
    body = await reads.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers, body, time.monotonic() - began)


@contextmanager
def served(home: Path, workers: int = 1, **more: str) -> Iterator[Standing]:
    """The service of a small base with a champion, in that folder; it is gone afterwards."""
    promoted(read_settings(environment(home, **more)))
    with serving(environment(home, **more), TINY.name, workers) as service:
        yield service


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a base in that folder says to its service, which counts nobody's requests."""
    return {"CHURN_HOME": str(home), "CHURN_MODE": "development", "CHURN_RATES": BOUNDLESS, **more}


@contextmanager
def serving(variables: dict[str, str], contract: str, workers: int = 1) -> Iterator[Standing]:
    """The service as `churn serve` runs it, for a base that has a champion."""
    settings = read_settings(variables)
    token = issue_token(OPERATOR, open_keyring(settings))
    with (Path(variables["CHURN_HOME"]) / "log").open("wb") as log, socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]
        asked = ("--contract", contract, "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers))
        process = subprocess.Popen(
            [sys.executable, "-m", "api.server", *asked, "--line", str(line.fileno())],
            pass_fds=[line.fileno()],
            cwd=ROOT,
            env={**os.environ, **variables, **dict.fromkeys(ONE_THREAD, "1")},
            stdout=log,
            stderr=log,
        )
    try:
        yield Standing(settings, port, process, token)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def next_champion(settings: Settings, intercept: float) -> Version:
    """Another card than before, champion at once."""
    registry = open_registry(settings)
    now = registry.resolve(TINY.name)
    number = registered(settings, replace(cards.card(), intercept=intercept))
    registry.promote(
        Promotion(TINY.name, number, now.version, who="tests", why="the next", segments=("all",), override=True)
    )
    return registry.version(TINY.name, number)


async def at_rate(each: Callable[[], Awaitable[None]], per_second: float, seconds: float) -> None:
    """Begins `each` at that rate, whether or not those before have ended, and waits for all."""
    began, begun = time.monotonic(), []
    while (passed := time.monotonic() - began) < seconds:
        begun += [asyncio.create_task(each()) for _ in range(int(passed * per_second) - len(begun))]
        await asyncio.sleep(0.002)
    await asyncio.gather(*begun)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
