"""Keeps a process small: gives back what it needed only to start, and spares it what it has no use for."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_M_ARENA_MAX = -8  # as malloc.h has it
# Objects more than there were before: with Python's own 700, a worker for whom some hundred requests wait looks at all
# that they have in hand again and again, and finds nothing that is garbage.
COLLECTED_AFTER = 10_000


class Without(MetaPathFinder):
    """Lets nobody import a package, as if it were not installed; for those that libraries use only if it is."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises ModuleNotFoundError for the package, and leaves every other to whoever looks next."""
        if fullname == self._package:
            raise ModuleNotFoundError(f"{fullname} is not for this process", name=fullname)
        return None


def do_without(package: str) -> None:
    """From now on, and for as long as the process lives."""
    sys.meta_path.insert(0, Without(package))


def keep_one_heap() -> None:
    """Threads that start from now on take their memory from where all do; other C libraries than glibc leave it so.

    By itself glibc gives each thread a heap of its own, so that none waits for another. Python's threads wait for each
    other anyway, and what is free in the heap of one is of no use to the next: 1 MB after some thousand requests.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Frees what starting left behind; what is there now stays, and no collection of garbage looks at it again.

    glibc keeps freed pages for itself, 4 MB of them after a start; other C libraries have no such call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER)
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
