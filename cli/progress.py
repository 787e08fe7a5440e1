"""Shows on the terminal how far the steps are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from tasks.progress import LOGGER, Progress, begun


@contextmanager
def progress_shown(console: Console, first: str) -> Iterator[list[str]]:
    """Shows every step that reports while the block runs, beginning with `first`, and leaves them on the screen.

    Gives what has been published so far, in words.
    """
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        listener = _Listener(bars)
        LOGGER.addHandler(listener)
        LOGGER.setLevel(logging.INFO)
        begun(first)
        try:
            yield listener.published
            listener.finish()
        finally:
            LOGGER.removeHandler(listener)


class _Listener(logging.Handler):
    """Turns progress records into bars: one a step, in the order they begin."""

    def __init__(self, bars: Bars) -> None:
        super().__init__()
        self.published: list[str] = []
        self._bars = bars
        self._steps: dict[str, TaskID] = {}
        self._lock_of_steps = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        if isinstance(progress, Progress):
            with self._lock_of_steps:
                self._show(progress)
        if hasattr(record, "published"):
            self.published.append(record.published)
            self.finish()  # whatever comes, this step is done

    def finish(self) -> None:
        """Ticks off the last step."""
        self._tick_off_others("")

    def _show(self, progress: Progress) -> None:
        if progress.step not in self._steps:
            self._tick_off_others(progress.step)
            self._steps[progress.step] = self._bars.add_task(progress.step, total=progress.parts or None)
        if progress.parts:
            self._bars.update(self._steps[progress.step], advance=1, total=progress.parts)

    def _tick_off_others(self, current: str) -> None:
        for step, bar in self._steps.items():
            task = self._bars.tasks[self._bars.task_ids.index(bar)]
            if step != current and task.total is None:
                self._bars.update(bar, total=1, completed=1)
