"""Keeps what went wrong inside the program for whoever mends it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from store.settings import Settings


def keep_fault(details: str, settings: Settings) -> Path:
    """Writes the details of an unexpected error to a file of its own in data/faults and gives its path."""
    folder = settings.data / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.txt"
    path.write_text(details, encoding="utf-8")
    return path
