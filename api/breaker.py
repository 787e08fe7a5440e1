"""Stops asking what does not answer: after a few failures in a row it waits, then lets one request try again."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_FAILURES = 3
OPEN_SECONDS = 2.0


class Breaker:
    """Closed it lets everyone in; open nobody, until its time is over and one may find out for all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._waits_until = 0.0

    @property
    def open(self) -> bool:
        """Whether what it guards failed too often, and has not been seen to work since."""
        return self._failures >= MOST_FAILURES

    def lets_in(self) -> bool:
        """Whether to try. Of those who ask an open breaker whose time is over, only the first is let in."""
        if not self.open:
            return True
        if self._clock() < self._waits_until:
            return False
        self._waits_until = self._clock() + OPEN_SECONDS
        return True

    def succeeded(self) -> None:
        """Forgets the failures."""
        self._failures = 0

    def undecided(self) -> None:
        """Lets the next one try at once: who was let in met nothing of what is guarded."""
        if self.open:
            self._waits_until = self._clock()

    def failed(self) -> None:
        """Counts one more."""
        self._failures += 1
        self._waits_until = self._clock() + OPEN_SECONDS
