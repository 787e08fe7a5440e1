"""Whoever asks too much waits, over all workers, and others do not; who counts is never what a request waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from api.limits import BLOCK_SECONDS, BURST_SECONDS, Limiter, rate_of
from churn.errors import SettingsError, StoreUnreachable
from schemas.users import Role, User
from store.access_tables import lookup_audit
from store.migrations import bring_up_to_date
from store.rate_limits import PER_MINUTE, Lease, LocalBuckets, Rate, open_buckets
from store.settings import Settings, read_settings
from store.tables import engine_for
from tests.api.doors import door
from tests.api.service import Ask, admission, running

ADA, EVE, CRM = User("ada", Role.AGENT), User("eve", Role.AGENT), User("crm", Role.SERVICE)
SOON = {"lookups": 60}  # a minute


@dataclass(slots=True)
class Counting:
    """Buckets of one process by a clock that the test turns, which count how often they are asked."""

    now: float = 0.0
    asked: int = 0
    kept: LocalBuckets = field(init=False)

    def __post_init__(self) -> None:
        self.kept = LocalBuckets(lambda: self.now)

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        self.asked += 1
        return self.kept.lease(bucket, wanted, rate)


class Away:
    """Buckets that do not answer: at once, or only after the test."""

    def __init__(self, hold: Event | None = None) -> None:
        self.hold = hold
        self.asked = 0

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        self.asked += 1
        if self.hold:
            self.hold.wait(10)
        raise StoreUnreachable("it is away", where="tests")


def allowed(limiter: Limiter, kind: str, who: User, times: int) -> list[bool]:
    """Which of so many requests, one after the other, may pass."""

    async def ask() -> list[bool]:
        return [await limiter.take(kind, who) == 0 for _ in range(times)]

    return asyncio.run(ask())


def test_a_worker_asks_the_shared_buckets_once_a_block():
    buckets = Counting()
    limiter = Limiter(buckets, {"predictions": 6_000})
    assert all(allowed(limiter, "predictions", ADA, 900))
    assert buckets.asked <= 3, "a block is a tenth of the minute's, asked for before the last one is used up"


def test_what_is_granted_is_the_burst_and_then_the_rate():
    buckets = Counting()
    first = allowed(Limiter(buckets, SOON), "lookups", ADA, 30)
    assert first == [True] * 10 + [False] * 20


def test_at_twice_the_rate_half_is_refused_and_another_is_not():
    """A minute and a half at two look-ups a second, each second at another worker."""
    buckets = Counting()
    granted = []
    for second in range(90):
        buckets.now = float(second)
        worker = Limiter(buckets, SOON)
        granted += allowed(worker, "lookups", ADA, 2)
    after_the_burst = granted[40:]
    refused = 1 - sum(after_the_burst) / len(after_the_burst)
    assert 0.45 <= refused <= 0.55
    assert allowed(Limiter(buckets, SOON), "lookups", EVE, 10) == [True] * 10


def test_workers_share_what_somebody_may_ask(settings: Settings):
    migrated(settings)
    rare = {"lookups": 30}
    both = [Limiter(open_buckets(settings), rare) for _ in range(2)]
    granted = sum(sum(allowed(worker, "lookups", ADA, 10)) for worker in both)
    assert granted in (5, 6), "ten seconds' worth of thirty a minute, and one that may have come meanwhile"


def migrated(settings: Settings) -> None:
    bring_up_to_date(engine_for(settings.database_url))


def test_a_program_may_ask_ten_times_as_much():
    limiter = Limiter(Counting(), SOON)
    assert sum(allowed(limiter, "lookups", CRM, 200)) == 100


def test_buckets_that_are_away_keep_nobody_waiting_and_the_worker_counts_by_itself():
    away = Away()
    begin = time.monotonic()
    assert allowed(Limiter(away, SOON), "lookups", ADA, 20) == [True] * 10 + [False] * 10
    assert time.monotonic() - begin < 1
    assert away.asked == 1, "nor are they asked again at once"


def test_buckets_that_hang_hold_a_request_up_for_a_quarter_of_a_second():
    hold = Event()
    limiter = Limiter(Away(hold), SOON)
    begin = time.monotonic()
    assert allowed(limiter, "lookups", ADA, 1) == [True]
    assert time.monotonic() - begin < 2
    hold.set()
    limiter.close()


@dataclass(slots=True)
class Switched:
    """Buckets that answer or do not, and count how often they are asked."""

    kept: LocalBuckets
    answers: bool = True
    asked: int = 0

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        self.asked += 1
        if not self.answers:
            raise StoreUnreachable("it is away", where="tests")
        return self.kept.lease(bucket, wanted, rate)


@dataclass(slots=True)
class Clock:
    """Tells the time that a test wants it to be."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


async def taken(limiter: Limiter, who: User, times: int) -> int:
    """How many of so many predictions may pass; what they set off in the background is done then."""
    granted = [await limiter.take("predictions", who) == 0 for _ in range(times)]
    for _ in range(3):
        await asyncio.sleep(0.02)
    return sum(granted)


def buckets_in(database_url: str) -> int:
    """How many buckets the database has."""
    with engine_for(database_url).connect() as connection:
        return int(connection.scalar(sa.text("SELECT count(*) FROM rate_bucket")) or 0)


@contextmanager
def sqlite_away(settings: Settings) -> Iterator[None]:
    """As where the disk of the database is gone."""
    away = settings.data.with_name("away")
    settings.data.rename(away)
    yield
    away.rename(settings.data)


@contextmanager
def postgres_away(settings: Settings) -> Iterator[None]:
    """It ends all connections and takes none."""
    url = make_url(settings.database_url)
    operator = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = f'"{url.database}"'
    with operator.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
        ended = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(ended, {"name": url.database})
        yield
        connection.execute(sa.text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"))
    operator.dispose()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_predictions_go_on_at_a_budget_of_the_worker_while_the_database_is_away_for_minutes(
    settings: Settings, request: pytest.FixtureRequest, database: str
):
    if database == "postgres":
        settings = replace(settings, database_url=request.getfixturevalue("postgres_url"))
    migrated(settings)
    goes_away = {"sqlite": sqlite_away, "postgres": postgres_away}[database]
    clock = Clock()
    limiter = Limiter(open_buckets(settings), {"predictions": 60}, clock=clock)

    async def live_through() -> tuple[list[int], float]:
        assert await taken(limiter, ADA, 3) == 3
        granted, slowest = [], 0.0
        with goes_away(settings):
            for _ in range(40):  # ten seconds each, so nearly seven minutes
                clock.now += 10.0
                began = time.monotonic()
                granted.append(await taken(limiter, ADA, 20))
                slowest = max(slowest, time.monotonic() - began) if granted[1:] else 0.0
        return granted, slowest

    async def all_of_it() -> None:
        granted, slowest = await live_through()
        assert min(granted) >= 1, "never refused for longer than the budget says"
        assert 9 <= sum(granted[2:]) / len(granted[2:]) <= 11, "a minute's budget a minute, as before"
        assert slowest < 0.2, "and only the first has waited for the database"
        clock.now += 10.0
        await taken(limiter, ADA, 20)  # finds out that it is back
        clock.now += 10.0
        before = buckets_in(settings.database_url)
        assert await taken(limiter, EVE, 1) == 1
        assert buckets_in(settings.database_url) == before + 1, "leases are shared again"

    asyncio.run(all_of_it())
    limiter.close()


def test_nobody_waits_again_for_buckets_that_are_known_to_hang():
    hold, clock = Event(), Clock()
    away = Away(hold)
    limiter = Limiter(away, {"predictions": 60}, clock=clock)

    async def live_through() -> list[float]:
        waited = []
        for number in range(30):
            clock.now += 10.0
            began = time.monotonic()
            assert await limiter.take("predictions", User(f"agent {number}", Role.AGENT)) == 0
            waited.append(time.monotonic() - began)
        hold.set()
        return waited

    first, *others = asyncio.run(live_through())
    assert first >= 0.2
    assert max(others) < 0.1
    limiter.close()


def test_nobody_hurries_back_to_buckets_that_answer_again():
    """Two hundred agents ask once in ten seconds each; their leases of the worker's own last as long as any."""
    clock = Clock()
    buckets = Switched(LocalBuckets(clock))
    limiter = Limiter(buckets, {"predictions": 60}, clock=clock)
    agents = [User(f"agent {number}", Role.AGENT) for number in range(200)]

    async def ten_seconds() -> int:
        before = buckets.asked
        for agent in agents:
            clock.now += 0.05
            assert await limiter.take("predictions", agent) == 0
        await asyncio.sleep(0.1)
        return buckets.asked - before

    async def live_through() -> tuple[list[int], list[int], list[int]]:
        well = [await ten_seconds() for _ in range(9)]
        buckets.answers = False
        away = [await ten_seconds() for _ in range(9)]
        buckets.answers = True
        return well, away, [await ten_seconds() for _ in range(9)]

    well, away, back = asyncio.run(live_through())
    assert max(away[4:]) <= 6, "one look in two seconds, whoever asks, once the first have found out"
    assert max(back) <= max(well)
    assert sum(back) >= 200, "all are back within a minute and a half"
    limiter.close()


def test_a_lease_in_use_is_renewed_before_it_lapses_and_never_grows():
    clock, buckets = Clock(), Counting()
    limiter = Limiter(buckets, {"predictions": 60}, clock=clock)

    async def live_through() -> None:
        for _ in range(30):
            buckets.now = clock.now = clock.now + 14.0
            assert await taken(limiter, ADA, 1) == 1
        buckets.now = clock.now = clock.now + 1.0
        assert await taken(limiter, ADA, 60) <= 17, "a burst, and at most the block that the worker holds"

    asyncio.run(live_through())
    assert buckets.asked < 20


def test_requests_that_come_together_are_counted_one_by_one():
    limiter = Limiter(Counting(), SOON)

    async def together() -> list[float]:
        return await asyncio.gather(*(limiter.take("lookups", ADA) for _ in range(40)))

    assert [wait == 0 for wait in asyncio.run(together())].count(True) == 10


def test_a_budget_of_something_that_has_none_is_refused():
    with pytest.raises(SettingsError, match="CHURN_RATES: there is no limit on bananas"):
        Limiter(Counting(), {"bananas": 3})


@pytest.mark.parametrize("text", ["lookups", "lookups=0", "lookups=-1", "lookups=many", "=3,lookups="])
def test_a_budget_that_is_no_number_is_refused(text: str):
    with pytest.raises(SettingsError, match="CHURN_RATES"):
        read_settings({"CHURN_RATES": text})


@pytest.mark.parametrize("kind", PER_MINUTE)
def test_a_block_is_never_more_than_the_burst(kind: str):
    assert rate_of(PER_MINUTE[kind]).burst >= PER_MINUTE[kind] * BLOCK_SECONDS // 60 > 0
    assert BLOCK_SECONDS < BURST_SECONDS


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    """A door with the limits that people have."""
    migrated(settings)
    app = door(replace(settings, rates={}))
    with running(app, who=None) as asked:
        yield lambda path, who: asked("GET", path, headers=admission(app, who))


def test_who_asks_too_much_is_told_when_to_come_again(ask: Ask):
    answers = [ask(f"/customers/C{number}", ADA) for number in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 20
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused[0].headers["retry-after"]) <= 10
    assert ask("/customers/C1", EVE).status_code == 200, "another is untouched"
    assert ask("/predictions", ADA).status_code == 200, "and so is what else she asks"


def test_whoever_harvests_customers_is_noticed_once(ask: Ask, settings: Settings):
    """Two hundred look-ups as quickly as they come, by one agent."""
    with ThreadPoolExecutor(4) as several:
        statuses = list(several.map(lambda number: ask(f"/customers/C{number}", ADA).status_code, range(200)))
    assert statuses.count(429) >= 100
    table = lookup_audit.c
    with engine_for(settings.database_url).connect() as connection:
        alarms = connection.execute(sa.select(table.principal, table.purpose).where(table.what == "alarm")).all()
        shown = connection.scalar(sa.select(sa.func.count()).where(table.what == "lookup"))
    assert alarms == [("ada", "looks up more customers than one person talks to")]
    assert shown == statuses.count(200)


def test_on_postgresql_a_door_counts_as_on_sqlite(settings: Settings, postgres_url: str):
    on_postgres = replace(settings, rates={}, database_url=postgres_url)
    migrated(on_postgres)
    app = door(on_postgres)
    with running(app, who=None) as ask:
        statuses = [ask("GET", f"/customers/C{one}", headers=admission(app, ADA)).status_code for one in range(30)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses
