"""Where answers are kept for a while, if anywhere: in the memory of a process, or in Redis for several machines."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from churn.errors import SettingsError
from store.service_settings import OFF
from store.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

IN_MEMORY, IN_REDIS = "memory", "redis"
KEPT_SECONDS = 60  # after which an answer is made anew, whatever else of it may have changed
MOST_KEPT = 10_000  # answers of a process, of about a kilobyte each
REDIS_SECONDS = 0.05  # a prediction takes less than a millisecond, so that nobody waits longer to be spared it
AWAY_SECONDS = 5.0  # for which a Redis that did not answer is not asked
PREFIX = b"churn:answer:"


class Shelf(Protocol):
    """Keeps answers by a key that says all that they depend on."""

    async def get(self, key: bytes) -> bytes | None:
        """The answer; None where it is kept no longer, or cannot be had."""

    async def put(self, key: bytes, answer: bytes) -> None:
        """Keeps it if that is possible."""


class MemoryShelf:
    """Keeps the last answers of this process."""

    def __init__(self, most: int = MOST_KEPT, seconds: float = KEPT_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: bytes) -> bytes | None:
        """As `Shelf.get`."""
        ends, answer = self._kept.get(key, (0.0, b""))
        return answer if time.monotonic() < ends else None

    async def put(self, key: bytes, answer: bytes) -> None:
        """As `Shelf.put`; the oldest goes where there are too many."""
        self._kept.pop(key, None)
        self._kept[key] = time.monotonic() + self._seconds, answer
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class RedisShelf:
    """Keeps them in Redis. One that does not answer is as good as none."""

    def __init__(self, url: str) -> None:
        """Connects with the first question."""
        from redis.asyncio import Redis  # it costs 0.4 s and 38 MB, and most run without

        self._redis: Redis = Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
        self._away_until = 0.0

    async def get(self, key: bytes) -> bytes | None:
        """As `Shelf.get`."""
        from redis import RedisError

        if time.monotonic() < self._away_until:
            return None
        try:
            found = await self._redis.get(PREFIX + key)
        except (RedisError, OSError):
            self._away_until = time.monotonic() + AWAY_SECONDS
            return None
        return found if isinstance(found, bytes) else None

    async def put(self, key: bytes, answer: bytes) -> None:
        """As `Shelf.put`."""
        from redis import RedisError

        if time.monotonic() < self._away_until:
            return
        try:
            await self._redis.set(PREFIX + key, answer, ex=KEPT_SECONDS)
        except (RedisError, OSError):
            self._away_until = time.monotonic() + AWAY_SECONDS


def open_shelf(kind: str, settings: Settings) -> Shelf | None:
    """The shelf of that kind, None for `off`; SettingsError where there is no such, or no Redis is named."""
    if kind == OFF:
        return None
    if kind == IN_MEMORY:
        return MemoryShelf()
    if kind != IN_REDIS:
        raise SettingsError(
            f"{kind!r} keeps no answers", where="CHURN_ANSWER_CACHE", to_do=f"Say {OFF}, {IN_MEMORY} or {IN_REDIS}."
        )
    if not settings.redis_url:
        raise SettingsError("no Redis is named", where="CHURN_REDIS_URL", to_do="Name it, or keep answers in memory.")
    return RedisShelf(settings.redis_url)
