"""How much each principal may ask: token buckets that all workers share, in the database or in Redis.

A bucket is one moment: until when its owner is busy with what he asked for so far (the generic cell rate algorithm).
Each token takes him a spacing longer, and he may be ahead of the clock by as many spacings as the burst has tokens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from churn.errors import SettingsError, StoreUnreachable
from store.access_tables import rate_bucket
from store.claims import database_now
from store.settings import Settings
from store.tables import answering, engine_for

if TYPE_CHECKING:
    from redis import Redis

# A minute, of a person; no call centre's agent talks to sixty customers in one.
PER_MINUTE: Mapping[str, int] = MappingProxyType(
    {
        "predictions": 6_000,
        "batch": 60,
        "lookups": 60,
        "lists": 60,
        "changes": 300,
        "jobs": 20,
        "operations": 120,
    }
)
IDLE = timedelta(hours=1)  # longer than any burst lasts: an older bucket is full again, and need not be kept
REDIS_SECONDS = 1.0  # to connect and to answer; whoever asks waits less
PREFIX = "churn:rate:"


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a minute, and how many of them may be used at once."""

    per_minute: float
    burst: int

    @property
    def spacing(self) -> float:
        """Seconds that one token takes."""
        return 60 / self.per_minute


@dataclass(frozen=True, slots=True)
class Lease:
    """How many tokens were granted; where none was, the seconds until there is one."""

    granted: int
    wait: float = 0.0


class Buckets(Protocol):
    """Where buckets are kept. All raise StoreUnreachable where that does not answer."""

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        """As many of the wanted tokens as there are; a negative number gives tokens back."""


def require_limits(per_minute: Mapping[str, int]) -> None:
    """SettingsError where a budget is set for something that has none."""
    if unknown := sorted(per_minute.keys() - PER_MINUTE.keys()):
        limited = ", ".join(PER_MINUTE)
        raise SettingsError(f"there is no limit on {unknown[0]}", where="CHURN_RATES", to_do=f"Limit {limited}.")


def open_buckets(settings: Settings, engine: Engine | None = None) -> Buckets:
    """Redis where the environment names one, else the database, by this engine if one is given."""
    if settings.redis_url:
        return RedisBuckets(settings.redis_url)
    return DatabaseBuckets(engine or engine_for(settings.database_url))


def leased(busy_for: float, wanted: int, rate: Rate) -> tuple[Lease, float]:
    """What is granted to whoever is busy for so many seconds more, and for how many he is busy then.

    Times are seconds from now; a bucket that was idle is busy for 0.
    """
    busy = max(busy_for, 0.0)
    room = math.floor(rate.burst - busy / rate.spacing + 1e-9)
    granted = min(wanted, max(room, 0))
    wait = 0.0 if granted else busy - (rate.burst - 1) * rate.spacing
    return Lease(granted, wait), busy + granted * rate.spacing


@dataclass(frozen=True, slots=True)
class LocalBuckets:
    """Buckets of this process alone: for as long as the shared ones do not answer."""

    clock: Callable[[], float] = time.monotonic
    busy_until: dict[str, float] = field(default_factory=dict)

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        """As `Buckets.lease`; it always answers."""
        now: float = self.clock()
        granted, busy_for = leased(self.busy_until.get(bucket, now) - now, wanted, rate)
        self.busy_until[bucket] = now + busy_for
        return granted


@dataclass(frozen=True, slots=True)
class DatabaseBuckets:
    """Buckets in the database, by its clock."""

    engine: Engine

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        """As `Buckets.lease`."""
        with answering(self.engine), self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            now = database_now(connection)
            granted, busy_for = leased((_busy_until(connection, bucket, now) - now).total_seconds(), wanted, rate)
            _keep(connection, bucket, now + timedelta(seconds=busy_for))
        return granted


def _busy_until(connection: Connection, bucket: str, now: datetime) -> datetime:
    """What the bucket says; its row is locked from here to the end of the transaction."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    fresh = dialect.insert(rate_bucket).values(bucket=bucket, busy_until=now).on_conflict_do_nothing()
    if connection.execute(fresh).rowcount:
        connection.execute(sa.delete(rate_bucket).where(rate_bucket.c.busy_until < now - IDLE))
    row = sa.select(rate_bucket.c.busy_until).where(rate_bucket.c.bucket == bucket).with_for_update()
    found: datetime = connection.execute(row).scalar_one()
    return found


def _keep(connection: Connection, bucket: str, busy_until: datetime) -> None:
    of_bucket = sa.update(rate_bucket).where(rate_bucket.c.bucket == bucket)
    connection.execute(of_bucket.values(busy_until=busy_until))


# The rule of `leased` where Redis can do it in one step, by Redis' clock.
_LEASE_IN_REDIS = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local wanted, spacing, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local busy = math.max(tonumber(redis.call('GET', KEYS[1]) or now) - now, 0)
local room = math.floor(burst - busy / spacing + 1e-9)
local granted = math.min(wanted, math.max(room, 0))
local left = busy + granted * spacing
if left > 0 then
  redis.call('SET', KEYS[1], string.format('%.6f', now + left), 'PX', math.ceil(left * 1000) + 1000)
else
  redis.call('DEL', KEYS[1])
end
return {granted, string.format('%.6f', busy - (burst - 1) * spacing)}
"""


class RedisBuckets:
    """Buckets in Redis, which several machines share."""

    def __init__(self, url: str) -> None:
        """Connects with the first lease."""
        import redis  # it costs 0.4 s and 38 MB, and most run without

        self._redis: Redis = redis.Redis.from_url(
            url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
        )
        self._script = self._redis.register_script(_LEASE_IN_REDIS)

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        """As `Buckets.lease`."""
        from redis import RedisError

        try:
            granted, wait = self._script(keys=[f"{PREFIX}{bucket}"], args=[wanted, rate.spacing, rate.burst])
        except RedisError as failed:
            # What the client says may quote its URL, and so a password.
            raise StoreUnreachable(
                f"Redis does not answer: {type(failed).__name__}", where="CHURN_REDIS_URL", to_do="Check that it runs."
            ) from None
        return Lease(int(granted), 0.0 if granted else float(wait))
