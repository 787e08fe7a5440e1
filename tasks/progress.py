"""Says how far a step is, as log records that whoever watches this process can count."""

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
