"""The parent's side of the quality checks: a child process that is started once and asked line by line.

Great Expectations takes 7 CPU seconds and 270 MB to import. The child pays them while the extract is running, keeps
the library for all checks of the run, and gives the memory back when it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, cast

from pydantic import TypeAdapter

from churn.errors import QualityError
from schemas.quality import Check, QualityReport

ANSWER_SECONDS = 300.0  # far above any night's checks, and below the lease of a run that waits for the answer


@dataclass(frozen=True, slots=True)
class Request:
    """What the child is asked: to make the checks on the rows of all the Parquet files together.

    `where` names the table for people, `threads` is how many cores the child may use.
    """

    where: str
    files: tuple[str, ...]
    checks: tuple[Check, ...]
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child answers: a report, or why there is none."""

    report: QualityReport | None = None
    problem: str = ""


REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


@functools.cache
def inspector() -> Inspector:
    """The one inspector of this process, closed when the process ends."""
    one = Inspector()
    atexit.register(one.close)
    return one


class Inspector:
    """Asks the child. Threads may share it; a child that died is started again by the next check."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Inspector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self) -> None:
        """Starts the child, which imports Great Expectations while the caller goes on."""
        with self._lock:
            self._living_child()

    def check(self, request: Request) -> QualityReport:
        """Makes the checks; QualityError with the child's reason where they cannot be made."""
        with self._lock:
            answer = self._living_child().ask(request)
        if answer.report is None:
            raise QualityError(answer.problem, where=request.where, to_do=_TO_DO)
        return answer.report

    def close(self) -> None:
        """Ends the child; a later check starts a new one."""
        with self._lock:
            if self._child is not None:
                self._child.end()
            self._child = None

    def _living_child(self) -> _Child:
        if self._child is not None and self._child.process.poll() is not None:
            self._child.end()
            self._child = None
        if self._child is None:
            self._child = _start()
        return self._child


_TO_DO = "Run it again. If it fails the same way, see whether the files are whole and the machine has memory left."


@dataclass(frozen=True, slots=True)
class _Child:
    """The process, the pipes to and from it, and the file that takes what it complains about."""

    process: subprocess.Popen[str]
    requests: IO[str]
    answers: IO[str]
    complaints: IO[str]

    def ask(self, request: Request) -> Answer:
        alarm = threading.Timer(ANSWER_SECONDS, self.process.kill)
        alarm.start()
        try:
            line = self._exchange(REQUEST.dump_json(request).decode())
        finally:
            alarm.cancel()
        return ANSWER.validate_json(line) if line else Answer(problem=self._obituary())

    def _exchange(self, line: str) -> str:
        """Sends a line and gives the line that comes back; empty where the child died."""
        try:
            self.requests.write(line + "\n")
            self.requests.flush()
            return self.answers.readline()
        except BrokenPipeError:
            return ""

    def _obituary(self) -> str:
        code = self.process.wait()
        self.complaints.seek(0)
        last_words = self.complaints.read().strip().rpartition("\n")[2]
        return f"the process that makes the checks ended with code {code}: {last_words or 'it said nothing'}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for file in (self.requests, self.answers, self.complaints):
            with contextlib.suppress(OSError):
                file.close()


def _start() -> _Child:
    """A child out of reach of Ctrl-C: its parent ends it, and where the parent was killed, the end of its input."""
    complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the child
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.quality"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        encoding="utf-8",
        process_group=0,
    )
    return _Child(process, cast("IO[str]", process.stdin), cast("IO[str]", process.stdout), complaints)
