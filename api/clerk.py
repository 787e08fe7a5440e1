"""Asks the desk, a process beside the worker, for what would cost the worker tens of megabytes: see api/desk.py.

The process is begun with the first question, and anew where it has gone meanwhile. All that it does is read, so that a
question during which it died is asked once more.
"""

from __future__ import annotations

import itertools
import logging
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Any

from churn.errors import StoreUnreachable

DEADLINE = 25.0  # seconds, longer than any route waits; a process that takes longer over anything hangs
TRIES = 2
READS_SECONDS = 5.0  # in which the process takes what is written to it, also while it begins
BEGINS_SECONDS = 2.0  # in which a process has begun, also on a busy machine

log = logging.getLogger(__name__)


class Clerk:
    """Asks for all threads of a worker; there is at most one process at a time."""

    def __init__(self, deadline: float = DEADLINE, reads_within: float = READS_SECONDS) -> None:
        self._deadline, self._reads_within = deadline, reads_within
        self._one_at_a_time = Lock()
        self._closed = False
        self._desk: _Desk | None = None

    def ask(self, duty: str, *given: Any) -> Any:
        """What the desk fetches; raises the error of the family that it met there, RuntimeError for any other.

        StoreUnreachable where it died of the question, did not answer within the deadline, cannot be started, or where
        the clerk is closed.
        """
        for _ in range(TRIES):
            try:
                return self._there().ask(duty, given, self._deadline)
            except _GoneError:
                log.warning("the desk has gone in the middle of a question")
        raise StoreUnreachable("the process that reads the lake ended twice", to_do="Ask again in a moment.")

    def begin(self) -> None:
        """Begins the process, where it is not there, and does not wait for it; raises as `ask` does where it cannot."""
        self._there()

    @property
    def process(self) -> int | None:
        """The number of the process; None before the first question."""
        return self._desk.process if self._desk else None

    @property
    def begins(self) -> bool:
        """Whether the process may not be ready yet."""
        return self._desk is not None and time.monotonic() - self._desk.began < BEGINS_SECONDS

    def close(self) -> None:
        """Ends the process for good; it holds nothing that an orderly end would save, and whoever waits is told."""
        with self._one_at_a_time:
            self._closed = True
            if self._desk:
                self._desk.end()

    def _there(self) -> _Desk:
        with self._one_at_a_time:
            if self._closed:
                raise StoreUnreachable("the service ends", to_do="Ask again in a moment.")
            if self._desk is None or self._desk.gone:
                self._desk = _Desk(self._reads_within)
            return self._desk


class _GoneError(Exception):
    """The process ended before it answered."""


class _Desk:
    """One process, and the questions that it has not answered yet."""

    def __init__(self, reads_within: float) -> None:
        self.began = time.monotonic()
        self.gone = False
        try:
            self._process, self._ends = _begun(reads_within)
        except OSError as refused:
            log.error("the desk cannot be started", exc_info=refused)
            told = "no process can be started that reads the lake"
            raise StoreUnreachable(told, to_do="Ask again in a moment.") from None
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Any]] = {}
        self._sending, self._changing = Lock(), Lock()
        Thread(target=self._hear, daemon=True, name="clerk").start()

    @property
    def process(self) -> int:
        return self._process.pid

    def ask(self, duty: str, given: tuple[Any, ...], seconds: float) -> Any:
        number, awaited = next(self._numbers), Future[Any]()
        with self._changing:
            if self.gone:
                raise _GoneError
            self._asked[number] = awaited
        self._send((number, duty, given))
        try:
            return awaited.result(seconds)
        except TooLate:
            self.end()
            raise StoreUnreachable(f"no answer came in {seconds:.0f} seconds", to_do="Ask again in a moment.") from None

    def end(self) -> None:
        with self._changing:
            self.gone = True
        self._process.kill()

    def _send(self, question: tuple[int, str, tuple[Any, ...]]) -> None:
        with self._sending:
            try:
                self._ends.send(question)
            except OSError:  # nobody reads, or not in time; a question of which half is written cannot be continued
                self.end()
                raise _GoneError from None

    def _hear(self) -> None:
        """Hands each answer to whoever waits for it, until the process is gone or says what nobody can read."""
        try:
            while (answer := _received(self._ends)) is not None:
                number, value, error = answer
                with self._changing:
                    awaited = self._asked.pop(number)
                _settle(awaited, value, error)
        finally:
            self._leave()

    def _leave(self) -> None:
        """Tells all who wait that the process is gone."""
        self.end()
        with self._sending:  # or the socket's number could be another file's before it is written to
            self._ends.close()
        for awaited in self._asked.values():
            awaited.set_exception(_GoneError())
        self._process.wait()


def _begun(reads_within: float) -> tuple[subprocess.Popen[bytes], Connection]:
    """The process, out of reach of Ctrl-C, and our end of what leads to it; it ends where that is closed.

    A write of ours fails with an OSError where nothing of it was read for so many seconds.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(reads_within))
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", "api.desk", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,
        )
        return process, Connection(ours.detach())


def _timeval(seconds: float) -> bytes:
    """As the system wants it: whole seconds, and millionths."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


def _received(ends: Connection) -> tuple[int, Any, Exception | None] | None:
    try:
        answer: tuple[int, Any, Exception | None] = ends.recv()
    except (EOFError, OSError):
        return None
    except Exception as failed:  # it cannot be made into what it was; its words may quote a customer
        log.error("an answer of the desk cannot be read: %s", type(failed).__name__)
        return None
    return answer


def _settle(awaited: Future[Any], value: Any, error: Exception | None) -> None:
    if error is None:
        awaited.set_result(value)
    else:
        awaited.set_exception(error)
