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


def settle() -> None:
    """Frees what starting left behind; what is there now stays, and no collection of garbage looks at it again.

    glibc keeps freed pages for itself, 4 MB of them after a start; other C libraries have no such call.
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
