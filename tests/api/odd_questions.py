"""Questions to the desk whose answers cannot be written there, or cannot be read here."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

from churn.errors import ChurnError
from store.one_row import Step


class Unwritable:
    """Steps that fail with an error which no process can hand to another."""

    def __iter__(self) -> Iterator[Step]:
        raise ChurnError("a lock cannot be written", where=Lock())  # type: ignore[arg-type]


class Unreadable:
    """Steps that fail with an error which is written well and cannot be made again from that."""

    def __iter__(self) -> Iterator[Step]:
        raise _UnreadableError("a secret")


class _UnreadableError(ChurnError):
    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("a secret",))
