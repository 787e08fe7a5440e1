"""Where Prefect's server keeps who has a deployment's one place, so that no run loses it because the server restarted.

A run renews its place every 225 seconds, and is ended where the server knows nothing of it (3.8.8): after a restart all
that run longer than that would die, since the server keeps places in memory, or in files for 300 seconds after the last
renewal. PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE names this module; see deploy/environment.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.server.concurrency.lease_storage.memory import ConcurrencyLeaseStorage as InMemory


class ConcurrencyLeaseStorage(InMemory):
    """Prefect's own, but that the place which an earlier server gave to a run stays its run's.

    Such a place stays taken in the server's database, and is given back there when its run ends or is found dead.
    """

    def __init__(self) -> None:
        if not self._initialized:  # Prefect calls for its one instance again and again
            self.given_back: set[UUID] = set()
        super().__init__()  # type: ignore[no-untyped-call]  # it is Prefect's

    async def renew_lease(self, lease_id: UUID, ttl: timedelta) -> bool:
        """Whether the place still is the run's: it is, unless this server has given it to another."""
        return await super().renew_lease(lease_id, ttl) or lease_id not in self.given_back

    async def revoke_lease(self, lease_id: UUID) -> None:
        """Gives a place back, because its run ended or did not renew it."""
        self.given_back.add(lease_id)
        await super().revoke_lease(lease_id)
