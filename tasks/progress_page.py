"""Shows in the Prefect UI how far a long step is."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

from prefect import runtime
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks.orchestrator import worth_no_failure
from tasks.progress import part_done

EVERY = 5.0  # per cent: each update costs the server a write
LONG = 3.0  # seconds from which on a person would look how far it is


@dataclass(slots=True)
class _Page:
    """One step of one run: how many parts are done, and how much of it was last shown."""

    since: float = field(default_factory=time.monotonic)
    done: int = 0
    shown: float = 0.0
    artifact: UUID | None = None

    def is_due(self, per_cent: float) -> bool:
        """Whether people would see a change that is worth its write."""
        is_long = self.artifact is not None or time.monotonic() - self.since > LONG
        return is_long and per_cent - self.shown >= EVERY


_pages: dict[tuple[str, str], _Page] = {}
_turn = threading.Lock()  # parts finish on many threads, and one of them makes the page


def part_shown(step: str, parts: int) -> None:
    """Reports that one more of a step's parts is done, and shows it where the step is a long one of a flow's run."""
    part_done(step, parts)
    run = runtime.flow_run.id
    if run is None:
        return
    with _turn:
        page = _pages.setdefault((run, step), _Page())
        page.done += 1
        per_cent = 100.0 * page.done / parts
        if page.is_due(per_cent):
            _show(page, step, per_cent)
        if page.done == parts:
            del _pages[run, step]


@worth_no_failure("how far it is")
def _show(page: _Page, step: str, per_cent: float) -> None:
    page.shown = per_cent
    if page.artifact is None:
        key = re.sub("[^a-z0-9]+", "-", step.lower()).strip("-")
        page.artifact = create_progress_artifact(per_cent, key=f"progress-{key}", description=step)  # type: ignore[assignment]
    else:
        update_progress_artifact(page.artifact, per_cent)
