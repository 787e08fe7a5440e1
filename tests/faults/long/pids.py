"""Which processes came from which."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.faults.processes import wait_until


def kill_family(pid: int) -> None:
    """Ends a process, which starts no other any more, then all that came from it; they are gone afterwards."""
    family = [pid, *descendants(pid)]
    for each in family:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    wait_until(lambda: not any(_lives(each) for each in family))


def descendants(pid: int) -> list[int]:
    """The processes that the process started, and those that they did."""
    children = [child for child in _pids() if _stat(child)[1] == pid]
    return [*children, *(later for child in children for later in descendants(child))]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _lives(pid: int) -> bool:
    return _stat(pid)[0] not in ("", "Z")


def _stat(pid: int) -> tuple[str, int]:
    """The state of a process and the one that started it; nothing where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return state, int(parent)
    return "", 0
