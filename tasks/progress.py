"""Says how far a run is, as log records that whoever watches this process can count."""

from __future__ import annotations

import logging
from dataclasses import dataclass

LOGGER = logging.getLogger("churn.progress")


@dataclass(frozen=True, slots=True)
class Progress:
    """One more part of a step is done, of `parts`; 0 parts: the step has begun, and nobody knows how long it takes."""

    step: str
    parts: int


def begun(step: str) -> None:
    """Reports that a step has begun."""
    LOGGER.info("%s", step, extra={"progress": Progress(step, 0)})


def part_done(step: str, parts: int) -> None:
    """Reports that one more of a step's parts is done; parts may finish in any order, on any thread."""
    LOGGER.info("%s: one more of %d parts is done", step, parts, extra={"progress": Progress(step, parts)})


def has_published(kind: str, rows: int) -> None:
    """Reports what readers see from now on, however the run ends."""
    LOGGER.info("%s: %d rows are published", kind, rows, extra={"published": f"{kind} ({rows:,} rows)"})


def warned(sentence: str) -> None:
    """Reports what a person should know although the run goes on."""
    LOGGER.warning("%s", sentence)
