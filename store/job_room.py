"""How much of the disk the files of all jobs take, so that nobody fills what the night writes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from store.lake import bytes_in

LOOK_AGAIN_SECONDS = 10.0  # of all workers each looks for itself


@dataclass(slots=True)
class JobRoom:
    """The folder of all jobs, and the bytes that may be in it."""

    root: Path
    most: int
    _taken: int = field(default=0, init=False)
    _look_at: float = field(default=0.0, init=False)
    _counting: Lock = field(default_factory=Lock, init=False)

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more, which then counts as taken."""
        with self._counting:
            if time.monotonic() >= self._look_at:
                self._taken, self._look_at = bytes_in(self.root), time.monotonic() + LOOK_AGAIN_SECONDS
            fits = self._taken + size <= self.most
            self._taken += size if fits else 0
        return fits
