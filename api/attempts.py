"""Counts attempts to log in, over all workers: who gets it right has his attempts back, who tries passwords waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from threading import Lock

from churn.errors import StoreUnreachable
from store.rate_limits import Buckets, Lease, LocalBuckets, Rate

# Of those who got it wrong: somebody who mistypes goes on, who tries passwords does not. Who gets it right has his
# token of these back, so an office behind one address is not held up by its own mornings. A name is held up at one
# address, so that no stranger locks its owner out; from all addresses together it bears more tries than one can send.
ATTEMPTS_BY_ADDRESS = Rate(per_minute=60, burst=60)
ATTEMPTS_BY_NAME_THERE = Rate(per_minute=2, burst=10)
ATTEMPTS_BY_NAME = Rate(per_minute=120, burst=240)
AWAY_SECONDS = 2.0  # for which buckets that did not answer are not asked again
MOST_KEPT = 10_000  # buckets of a worker's own, which are forgotten together

log = logging.getLogger(__name__)


class Attempts:
    """The attempts of each name and address; where the shared buckets are away, each worker counts by itself.

    Not where they are `beside_users`, in the database without which nobody is known anyway.
    """

    def __init__(self, shared: Buckets, *, beside_users: bool) -> None:
        self._shared = shared
        self._beside_users = beside_users
        self._own = LocalBuckets()
        self._counting = Lock()
        self._away_until = 0.0

    def begin(self, name: str, address: str) -> float:
        """Counts one more, and gives 0; where there were too many, the seconds to wait."""
        for bucket, rate in _buckets(name, address).items():
            lease = self._lease(bucket, 1, rate)
            if not lease.granted:
                return lease.wait
        return 0.0

    def forgive(self, name: str, address: str) -> None:
        """Takes the attempt back: the name's owner has shown his password."""
        for bucket, rate in _buckets(name, address).items():
            self._lease(bucket, -1, rate)

    def _lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        if time.monotonic() >= self._away_until:
            try:
                return self._shared.lease(bucket, wanted, rate)
            except StoreUnreachable as away:
                if self._beside_users:
                    raise
                self._away_until = time.monotonic() + AWAY_SECONDS
                log.warning("attempts to log in are counted by this worker alone: %s", away.what)
        with self._counting:
            if len(self._own.busy_until) > MOST_KEPT:
                self._own.busy_until.clear()
            return self._own.lease(bucket, wanted, rate)


def _buckets(name: str, address: str) -> Mapping[str, Rate]:
    """The address first: one that is refused leaves no trace of the names that it tried."""
    return {
        f"address:{address}": ATTEMPTS_BY_ADDRESS,
        f"name:{name} {address}": ATTEMPTS_BY_NAME_THERE,
        f"name:{name}": ATTEMPTS_BY_NAME,
    }
