"""A connection of the service: refuses in microseconds what cannot be answered in time, and waits for no slow sender.

uvicorn alone would read and parse every request that comes, however many, and wait for ever for one that does not end.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.admission import BUSY, Arrival, Queue
from api.headers import CLOSE, SECURITY
from api.metrics import Metrics
from api.problems import RETRY_AFTER, Problem, plain_problem, problem_answer

HEADER_SECONDS = 5.0  # from the first byte of a request, or from the connection's begin, to the end of its headers
REST_SECONDS = 2.0  # for a sender who was answered early to send the rest of his body, so that he reads the answer
FAREWELL_SECONDS = 1.0  # for an idle client to ask once more and learn that this connection ends
ONE_MORE_LOOK = 0.01
READ_BYTES = 64 * 1024
NO_PLAIN_REQUEST = -1  # in place of a length
REFUSABLE = (b"GET /api/", b"POST /api/")

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,7})\r\n", re.IGNORECASE)
_NOT_PLAIN = re.compile(rb"\r\n(transfer-encoding|connection|expect|upgrade) *:", re.IGNORECASE)


class Connection(H11Protocol):
    """One connection of a worker, see uvicorn's own."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for headers."""
        super().connection_made(transport)
        # asyncio does so only for sockets made for TCP by name, as those that uvicorn gives its workers are not.
        # Head and body of an answer are written apart: the body would wait 40 ms for the head to be confirmed.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # By itself asyncio makes room for 256 kB before each read. Where the heap has none free, glibc goes to the
        # system for it and back: seen alone, a read then takes 17 microseconds instead of 2.
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        self._arrival = Arrival(time.monotonic())
        self._queue: Queue = self.app_state["queue"]
        self._metrics: Metrics = self.app_state["metrics"]
        self._timer: asyncio.TimerHandle | None = None
        self._refused_at = -math.inf  # by the loop's clock
        self._plain = b"", NO_PLAIN_REQUEST  # the last head that was looked at, and the length of its body
        self._wait_for(HEADER_SECONDS, self._headers_are_late)

    def data_received(self, data: bytes) -> None:
        """Refuses the request unread where the queue is full; else reads on, and notes when it came."""
        full = self._queue.full
        if full and self._is_whole_request(data):
            return self._refuse()
        begins = self.cycle is None or self.cycle.response_complete
        if begins:
            self._arrival = Arrival(time.monotonic(), refused=full, last=self._arrival.last)
            self.app_state = {**self.app_state, "arrival": self._arrival}
        self._arrival.at = time.monotonic()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._queue.enter(self._arrival)
            self._wait_for(0.0, None)
        elif begins and self._timer is None:
            self._wait_for(HEADER_SECONDS, self._headers_are_late)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing more."""
        self._wait_for(0.0, None)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Gives who was answered early a moment to send the rest, and none for ever."""
        if self.conn.their_state is h11.SEND_BODY:
            self._wait_for(REST_SECONDS, self.transport.close)
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Ends an idle connection; whoever was refused since the last answer may ask for as long again."""
        left = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if left > 0.0:
            self._keep_alive_for(left)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The worker ends. Its next answer says so; who asks nothing more for a moment is let go without."""
        self._arrival.last = True
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for(FAREWELL_SECONDS, super().shutdown)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, in the shape of all errors."""
        self._dismiss(plain_problem(HTTPStatus.BAD_REQUEST, "This is no HTTP request."))

    def _is_whole_request(self, data: bytes) -> bool:
        """Whether the data is one plain request of a client that waits for nothing else: no more, and no less."""
        if not data.startswith(REFUSABLE) or self._arrival.last:
            return False
        if self.conn.their_state is not h11.IDLE or self.conn.our_state is not h11.IDLE or self.conn.trailing_data[0]:
            return False
        head, ends, body = data.partition(b"\r\n\r\n")
        if head != self._plain[0]:  # whoever keeps a connection says the same again and again
            self._plain = head, _length_of(head)
        return bool(ends) and len(body) == self._plain[1]

    def _refuse(self) -> None:
        self._wait_for(0.0, None)
        # A timer that is made anew for each refusal would cost a flood some microseconds of each.
        self._refused_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive_for(self.timeout_keep_alive)
        self.transport.write(REFUSAL)
        self._metrics.refused()

    def _keep_alive_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _headers_are_late(self) -> None:
        self._wait_for(ONE_MORE_LOOK, self._hang_up)  # they may lie unread, where the worker itself was held up

    def _hang_up(self) -> None:
        slow = f"The headers of the request did not come within {HEADER_SECONDS:.0f} seconds."
        self._dismiss(plain_problem(HTTPStatus.REQUEST_TIMEOUT, slow))

    def _dismiss(self, problem: Problem) -> None:
        """Says so where nothing was said yet, and ends the connection."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_raw(problem, CLOSE))
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.close()

    def _wait_for(self, seconds: float, then: Any) -> None:
        """Calls `then` when the time is over, and nothing that was to be called before it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, then) if then else None


def _length_of(head: bytes) -> int:
    """How long the body of a request with this head is, where its client waits for nothing else."""
    if _NOT_PLAIN.search(head):
        return NO_PLAIN_REQUEST
    length = _LENGTH.search(head + b"\r\n")
    return int(length[1]) if length else 0


def _raw(problem: Problem, *more: tuple[bytes, bytes]) -> bytes:
    """The whole answer as it goes over the wire."""
    answer = problem_answer(problem, RETRY_AFTER if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    lines = [b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode())]
    lines += [b"%s: %s" % header for header in (*answer.raw_headers, *SECURITY, *more)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


REFUSAL = _raw(BUSY)
