"""How much each principal may ask, over all workers: 429 and when to come again.

A worker leases a block of tokens, a tenth of the minute's, before the last block is used up, so that a request neither
waits for the database nor fails with it. Leased tokens that a worker has no use for lapse: of w workers each may hold
back a block, and the next lease finds that much less. A lease that somebody uses is renewed before it lapses, too.

Where the buckets do not answer, each worker counts by itself for as long as that lasts, and asks them again and again
in the background: only who found them away first has waited. Once they answer nobody hurries back to them; each lease
is asked of them when it would have been anyway.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from api.security import Anyone, Principal, too_many
from churn.errors import StoreUnreachable
from schemas.users import Role
from store.rate_limits import PER_MINUTE, Buckets, Lease, LocalBuckets, Rate, require_limits

OF_A_SERVICE = 10  # times as much: a program asks for many people
BURST_SECONDS = 10  # so much of the minute's budget may be used at once
BLOCK_SECONDS = 6
LAPSE_SECONDS = 60  # a lease that is not used by then is worth nothing
EARLY_SECONDS = 15  # before that, whoever takes a token has the lease renewed
PATIENCE = 0.25  # seconds that a request waits for a lease, half of its deadline
TELL_SECONDS = 60
AWAY_SECONDS = 2.0  # between two looks whether buckets answer again that did not
MOST_ALLOWANCES = 10_000  # that a worker keeps; it forgets the oldest, which costs its owner a lease

AWAY = (StoreUnreachable, SQLAlchemyError, TimeoutError)  # what a lease ends in where the buckets do not answer

log = logging.getLogger(__name__)

OnRefusal = Callable[[str, Principal], None]


@dataclass(slots=True)
class Allowance:
    """What a worker holds of one principal's bucket; moments are by the monotonic clock."""

    rate: Rate
    left: int = 0
    lapses_at: float = 0.0
    renews_at: float = 0.0
    refused_until: float = 0.0
    renewal: asyncio.Task[None] | None = None
    told: float = field(default=-math.inf)  # when the refusal was last told to whoever watches


class Limiter:
    """The worker's part of every bucket; all of it happens on the event loop but the leases."""

    def __init__(
        self,
        buckets: Buckets,
        per_minute: Mapping[str, int] = PER_MINUTE,
        on_refusal: OnRefusal | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks nothing yet; SettingsError where a budget is set for something that has none."""
        require_limits(per_minute)
        self._buckets = buckets
        self._per_minute = {**PER_MINUTE, **per_minute}
        self._on_refusal = on_refusal
        self._clock = clock
        self._alone = LocalBuckets(clock)
        self._away = False
        self._ask_again_at = 0.0
        self._look: asyncio.Task[None] | None = None
        self._held: dict[tuple[str, str], Allowance] = {}
        self._thread = ThreadPoolExecutor(1, "rate-limits")  # one, so that a database that hangs takes no more

    async def take(self, kind: str, principal: Principal) -> float:
        """Takes a token, and gives 0; where there is none, the seconds until there is one."""
        allowance = self._allowance(kind, principal)
        while True:
            now = self._clock()
            if allowance.left > 0 and now < allowance.lapses_at:
                allowance.left -= 1
                if allowance.left == _block(allowance.rate) // 4 or now >= allowance.renews_at:
                    self._renewed(kind, principal, allowance)  # in the background
                return 0.0
            if now < allowance.refused_until:
                self._tell(kind, principal, allowance)
                return allowance.refused_until - now
            await self._renewed(kind, principal, allowance)

    def close(self) -> None:
        """Asks nothing more, and waits for what is asked now, which takes no longer than the database may."""
        self._thread.shutdown(cancel_futures=True)

    def _allowance(self, kind: str, principal: Principal) -> Allowance:
        name = kind, principal.name
        found = self._held.get(name)
        if found is None:
            if len(self._held) >= MOST_ALLOWANCES:
                del self._held[next(iter(self._held))]
            times = OF_A_SERVICE if principal.role is Role.SERVICE else 1
            found = self._held[name] = Allowance(rate_of(self._per_minute[kind] * times))
        return found

    def _renewed(self, kind: str, principal: Principal, allowance: Allowance) -> Awaitable[None]:
        """The renewal under way, or a new one; several requests wait for the same."""
        if allowance.renewal is None or allowance.renewal.done():
            allowance.renewal = asyncio.ensure_future(self._renew(f"{kind}:{principal.name}", allowance))
        return asyncio.shield(allowance.renewal)

    async def _renew(self, bucket: str, allowance: Allowance) -> None:
        block, left = _block(allowance.rate), allowance.left if self._clock() < allowance.lapses_at else 0
        wanted = block if left <= block // 4 else max(1, block - left)  # for the sake of time no more than it uses
        lease, now = await self._lease(bucket, wanted, allowance.rate), self._clock()
        allowance.renews_at = now + LAPSE_SECONDS - EARLY_SECONDS
        if lease.granted:
            allowance.left = lease.granted + (allowance.left if now < allowance.lapses_at else 0)
            allowance.lapses_at = now + LAPSE_SECONDS
        else:
            allowance.refused_until = now + lease.wait

    async def _lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        """Tokens of the shared bucket; of this worker's own where the shared one does not answer in time."""
        if self._away:
            self._look_again(bucket, rate)
        else:
            try:
                return await self._shared(bucket, wanted, rate)
            except AWAY as failed:
                self._lost(failed)
        return self._alone.lease(bucket, wanted, rate)

    async def _shared(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        ask = partial(self._buckets.lease, bucket, wanted, rate)
        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._thread, ask), PATIENCE)

    def _lost(self, failed: BaseException) -> None:
        if not self._away:
            log.warning("rate limits count by themselves: %s", type(failed).__name__)
        self._away, self._ask_again_at = True, self._clock() + AWAY_SECONDS

    def _look_again(self, bucket: str, rate: Rate) -> None:
        """Asks in the background, at most every few seconds and one at a time, whether the shared buckets answer."""
        if self._clock() >= self._ask_again_at and (self._look is None or self._look.done()):
            self._look = asyncio.ensure_future(self._find_out(bucket, rate))

    async def _find_out(self, bucket: str, rate: Rate) -> None:
        try:
            await self._shared(bucket, 0, rate)
        except AWAY as failed:
            self._lost(failed)
        else:
            self._away = False
            log.info("rate limits are shared again")

    def _tell(self, kind: str, principal: Principal, allowance: Allowance) -> None:
        """Tells whoever watches, once a minute at most, beside the event loop."""
        now = self._clock()
        if self._on_refusal and now - allowance.told >= TELL_SECONDS:
            allowance.told = now
            self._thread.submit(self._on_refusal, kind, principal)


def limited(kind: str) -> Callable[[Request, Principal], Awaitable[None]]:
    """A dependency that takes a token of that kind, `Depends(limited("lookups"))`; 429 where there is none."""

    async def within_limit(request: Request, principal: Anyone) -> None:
        limiter: Limiter = request.app.state.limiter
        wait = await limiter.take(kind, principal)
        if wait:
            raise too_many(wait)

    assert kind in PER_MINUTE, kind  # noqa: S101 - a slip in a route, found when it is imported
    return within_limit


def rate_of(per_minute: int) -> Rate:
    """The rate of a minute's budget."""
    return Rate(per_minute, max(1, per_minute * BURST_SECONDS // 60))


def _block(rate: Rate) -> int:
    return max(1, int(rate.per_minute * BLOCK_SECONDS / 60))
