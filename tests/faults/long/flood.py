"""One request, sent over and over at a rate that no answer slows down: `python -m tests.faults.long.flood`.

The callers of benchmarks take a twentieth of a millisecond for an answer, and so cannot ask five times what a worker
does on the other core. These know a single request and bare sockets, and take a third of that.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

from tests.callers import Heard, heard_by

LINES = 1_024  # more than the worker lets wait, so that there is a free one whenever a request is due
PATIENCE = 5.0  # seconds for the last answers
AT_ONCE = 64 * 1024  # bytes
LENGTH, LATER, ENDS = b"content-length: ", b"retry-after: ", b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Flood:
    """What to send to a port, how often and for how long, and the core to do so on if it is one alone."""

    port: int
    request: str
    per_second: float
    seconds: float
    core: int | None = None


def flooded(flood: Flood) -> Heard:
    """What came of it; who was not answered at all is counted as `no answer`."""
    return heard_by("tests.faults.long.flood", asdict(flood))


class Line:
    """A connection with one request under way at most."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked = 0.0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""

    def answer(self) -> str | None:
        """The status of the answer, with `retry-after` where it says so; None while it is not whole."""
        came = self.socket.recv(AT_ONCE)
        if not came:
            return "cut off"
        self._came += came
        head, ends, body = self._came.partition(ENDS)
        if not ends or len(body) < int(head.partition(LENGTH)[2].partition(b"\r\n")[0]):
            return None
        self._came = b""
        return head[9:12].decode() + (" retry-after" if LATER in head else "")


class Lines:
    """All lines of the flood, those that are free and those that wait for an answer."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._request = flood.request.encode()
        self._free = [Line(flood.port) for _ in range(LINES)]
        self._waiting: dict[int, Line] = {}
        self._poll = select.epoll()
        for line in self._free:
            self._poll.register(line.socket, select.EPOLLIN)
        self._statuses = Counter[str]()
        self._heard = Heard()
        self._sent = 0
        self._began = time.perf_counter()

    def run(self) -> Heard:
        """Sends all when they are due, whether or not those before were answered."""
        total = int(self._flood.per_second * self._flood.seconds)
        while self._sent < total:
            self._send_due(total)
            self._hear(1 / self._flood.per_second)
        self._heard.seconds = time.perf_counter() - self._began
        ends = time.perf_counter() + PATIENCE
        while self._waiting and time.perf_counter() < ends:
            self._hear(PATIENCE / 10)
        self._statuses += Counter({"no answer": len(self._waiting)})
        self._heard.statuses = dict(self._statuses)
        return self._heard

    def _send_due(self, total: int) -> None:
        """What is due, as far as there are free lines; the rest is late."""
        now = time.perf_counter() - self._began
        due = min(total, 1 + int(now * self._flood.per_second))
        while self._sent < due and self._free:
            line = self._free.pop()
            self._heard.late.append(1_000 * (now - self._sent / self._flood.per_second))
            line.asked = time.perf_counter()
            self._waiting[line.socket.fileno()] = line
            line.socket.sendall(self._request)
            self._sent += 1

    def _hear(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds, LINES):
            line = self._waiting.get(number)
            status = line.answer() if line else None
            if line is None or status is None:
                continue
            del self._waiting[number]
            self._statuses[status] += 1
            self._heard.milliseconds.append(1_000 * (time.perf_counter() - line.asked))
            if status == "cut off":
                self._renew(line)
            self._free.append(line)

    def _renew(self, line: Line) -> None:
        self._poll.unregister(line.socket)
        line.socket.close()
        line.open()
        self._poll.register(line.socket, select.EPOLLIN)


def main() -> None:
    """The process of the flood."""
    flood = Flood(**json.loads(sys.stdin.read()))
    if flood.core is not None:
        os.sched_setaffinity(0, {flood.core})
    print(json.dumps(asdict(Lines(flood).run())))


if __name__ == "__main__":
    main()
