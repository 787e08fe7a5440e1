"""Notices who is shown more customers than anybody talks to, by whatever routes, over all workers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from sqlalchemy.exc import SQLAlchemyError

from churn.errors import StoreUnreachable
from schemas.users import Role, User
from store.rate_limits import Buckets, LocalBuckets, Rate

# Customers a minute: a person leafs through ten pages of a list at most, a program fetches all of one.
MOST_SHOWN, MOST_SHOWN_TO_A_SERVICE = 1_000, 10_000
SHARE = 20  # a worker tells the others once it has shown the twentieth part of that
TELL_SECONDS = 60
ALARM = "was shown more customers within a minute than anybody talks to"

log = logging.getLogger(__name__)

Alarm = Callable[[str, str], None]  # takes a principal's name, and what he did


class Harvest:
    """The worker's part of the count; the shared part is kept in a thread, so that nobody who looks waits for it."""

    def __init__(self, buckets: Buckets, alarm: Alarm) -> None:
        self._buckets = buckets
        self._alarm = alarm
        self._alone = LocalBuckets()
        self._shown: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._one_at_a_time = Lock()
        self._thread = ThreadPoolExecutor(1, "harvest")

    def saw(self, principal: User, customers: int) -> None:
        """Counts that so many customers were shown to the principal; any thread may call it, and waits for nothing."""
        rate = _rate_of(principal)
        with self._one_at_a_time:
            shown = self._shown.pop(principal.name, 0) + customers
            if shown < rate.burst // SHARE:
                self._shown[principal.name] = shown
                return
        with suppress(RuntimeError):  # once it is closed
            self._thread.submit(self._tell, principal.name, shown, rate)

    def close(self) -> None:
        """Counts no more, and waits for what is being counted."""
        self._thread.shutdown()

    def _tell(self, name: str, shown: int, rate: Rate) -> None:
        if self._room(name, shown, rate) >= shown:
            return
        now = time.monotonic()
        if now - self._told.get(name, -math.inf) < TELL_SECONDS:
            return
        self._told[name] = now
        try:
            self._alarm(name, ALARM)
        except (StoreUnreachable, SQLAlchemyError) as failed:  # the log of the program has it
            log.warning("the alarm could not be written down: %s", type(failed).__name__)

    def _room(self, name: str, shown: int, rate: Rate) -> int:
        """How many customers there was room for; by this worker's own count where the shared one does not answer."""
        try:
            return self._buckets.lease(f"shown:{name}", shown, rate).granted
        except (StoreUnreachable, SQLAlchemyError):
            return self._alone.lease(name, shown, rate).granted


def _rate_of(principal: User) -> Rate:
    most = MOST_SHOWN_TO_A_SERVICE if principal.role is Role.SERVICE else MOST_SHOWN
    return Rate(most, most)
