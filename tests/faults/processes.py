"""Runs in processes of their own, which a test can kill, stop and wake, as a machine or an operator would."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from store.fault_points import STOP, VARIABLE
from tests.faults.nights import Base, outcome

PROCESSES = get_context("forkserver")  # whose children begin with the libraries loaded
PROCESSES.set_forkserver_preload([__name__, "tests.faults.readers", "tests.faults.warm"])
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Run:
    """A run in a process of its own."""

    process: BaseProcess
    told: Connection

    def outcome(self) -> str:
        """What became of it, in words; `killed` where it was."""
        said = self._said()
        self.process.join(SECONDS)
        return said or ("killed" if self.process.exitcode == -signal.SIGKILL else f"exit {self.process.exitcode}")

    def await_stop(self) -> None:
        """Waits until it has stopped at its fault point."""
        wait_until(lambda: _state(self._pid) == "T")

    def stop(self) -> Any:
        """What a process that goes on until it is told to stop has to say at its end."""
        self.told.send("stop")
        said = self.told.recv()
        self.process.join(SECONDS)
        return said

    def halt(self) -> None:
        """Lets it stand still wherever it is."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.join(SECONDS)

    @property
    def _pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self._pid, number)

    def _said(self) -> str:
        try:
            return str(self.told.recv()) if self.told.poll(SECONDS) else ""
        except EOFError:  # it ended without a word
            return ""


def start(target: Callable[..., None], *arguments: Any) -> Run:
    """Starts `target(*arguments, told)` in a process of its own; `told` takes what it has to say.

    What comes back by it, or its end, tells a process that goes on and on to stop. An Event would not do: one that
    dies while it waits takes the Event's lock with it, and whoever sets it waits for ever.
    """
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=target, args=(*arguments, there), daemon=True)
    process.start()
    atexit.register(process.kill)  # one that still stands still would keep this process from ending
    there.close()
    return Run(process, here)


def a_run(base: Base, as_of: date, key: str, fault: str, told: Connection) -> None:
    """A night's run that ends or stops at a fault point, if one is named."""
    if fault:
        os.environ[VARIABLE] = fault
    told.send(outcome(base.publisher(), as_of, key))


def killed_at(point: str, base: Base, as_of: date, key: str = "first") -> None:
    """A run that dies at the point."""
    assert start(a_run, base, as_of, key, point).outcome() == "killed"


def stopped_at(point: str, base: Base, as_of: date, key: str = "first") -> Run:
    """A run that stands still at the point until it is woken."""
    run = start(a_run, base, as_of, key, f"{STOP}{point}")
    run.await_stop()
    return run


def wait_until(happened: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Waits for what another process does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
