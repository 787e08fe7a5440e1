"""Looks whether a process of this machine still is the one that somebody means."""

from __future__ import annotations

from pathlib import Path


def is_running(pid: int, begun_with: str) -> bool:
    """Whether the process lives, and was begun with this (`NAME=value`) in its environment.

    A number alone may be another process's by now. False also where this machine does not tell: one without /proc, or
    of a process that is another user's.
    """
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()  # empty for one that died and was not waited for
    except OSError:
        return False
    return begun_with.encode() in environment.split(b"\0")
