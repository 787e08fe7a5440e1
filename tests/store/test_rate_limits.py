"""A bucket gives what its rate says, to all who share it together, and fills up again with time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from churn.errors import StoreUnreachable
from store.access_tables import rate_bucket
from store.migrations import bring_up_to_date
from store.rate_limits import Buckets, DatabaseBuckets, Lease, LocalBuckets, Rate, RedisBuckets, leased, open_buckets
from store.settings import Settings
from store.tables import engine_for
from tests import redis_server

SLOW = Rate(per_minute=6, burst=10)  # a token in ten seconds: a test sees none come back

HOURLY = Rate(per_minute=1 / 60, burst=10)

GRANTED = [
    # busy for  wanted  granted  wait  busy then
    (0.0, 1, 1, 0.0, 10.0),
    (-5.0, 1, 1, 0.0, 10.0),
    (0.0, 10, 10, 0.0, 100.0),
    (0.0, 12, 10, 0.0, 100.0),
    (75.0, 5, 2, 0.0, 95.0),
    (95.0, 5, 0, 5.0, 95.0),
    (100.0, 1, 0, 10.0, 100.0),
    (100.0, -1, -1, 0.0, 90.0),
]


@pytest.mark.parametrize(("busy_for", "wanted", "granted", "wait", "then"), GRANTED)
def test_what_is_granted_and_when_there_is_more(busy_for: float, wanted: int, granted: int, wait: float, then: float):
    assert leased(busy_for, wanted, SLOW) == (Lease(granted, wait), then)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of the module's own."""
    with redis_server.server() as (url, _):
        yield url


@pytest.fixture(params=["local", "database", "redis"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    """Each kind of buckets, all empty of use."""
    if request.param == "local":
        return LocalBuckets()
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(url) as client:
            client.flushall()
        return RedisBuckets(url)
    return _in_database(f"sqlite:///{request.getfixturevalue('tmp_path') / 'fresh.db'}")


def _in_database(url: str) -> DatabaseBuckets:
    engine = engine_for(url)
    bring_up_to_date(engine)
    return DatabaseBuckets(engine)


def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait(buckets: Buckets):
    assert buckets.lease("one", 6, SLOW) == Lease(6)
    assert buckets.lease("one", 6, SLOW) == Lease(4), "what is left of it"
    refused = buckets.lease("one", 6, SLOW)
    assert refused.granted == 0
    assert 0 < refused.wait <= 10
    assert buckets.lease("another", 6, SLOW) == Lease(6), "another's bucket is untouched"


def test_what_is_given_back_can_be_had_again(buckets: Buckets):
    assert buckets.lease("one", 10, SLOW).granted == 10
    assert buckets.lease("one", -3, SLOW).granted == -3
    assert buckets.lease("one", 10, SLOW).granted == 3


def test_a_bucket_fills_up_again(buckets: Buckets):
    quick = Rate(per_minute=600, burst=2)
    assert buckets.lease("one", 2, quick).granted == 2
    wait = buckets.lease("one", 1, quick).wait or 0.0
    time.sleep(wait + 0.05)
    assert buckets.lease("one", 1, quick).granted == 1


def test_the_databases_give_what_their_clock_says(database_url: str):
    kept = _in_database(database_url)
    granted = [kept.lease("one", 4, SLOW).granted for _ in range(4)]
    assert granted == [4, 4, 2, 0]


def _take_all(url: str) -> int:
    kept = RedisBuckets(url) if url.startswith("redis") else DatabaseBuckets(engine_for(url))
    return sum(kept.lease("shared", 1, HOURLY).granted for _ in range(10))  # on connections of its own, as a worker's


def test_workers_together_get_no_more_than_one_would(database_url: str):
    _in_database(database_url)
    assert _taken_together(database_url) == 10


def test_workers_share_redis_too(redis_url: str):
    assert _taken_together(redis_url) == 10


def _taken_together(url: str) -> int:
    with ThreadPoolExecutor(3) as pool:
        return sum(pool.map(_take_all, [url] * 3))


def test_buckets_that_nobody_uses_are_swept(tmp_path: Path):
    kept = _in_database(f"sqlite:///{tmp_path / 'fresh.db'}")
    for name in ("old", "new"):
        kept.lease(name, 1, SLOW)
    with kept.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE rate_bucket SET busy_until = '2026-01-01 00:00:00.000000' WHERE bucket = 'old'"
        )
    kept.lease("newest", 1, SLOW)
    with kept.engine.connect() as connection:
        assert set(connection.scalars(sa.select(rate_bucket.c.bucket))) == {"new", "newest"}


NOBODY = "127.0.0.1:1/0"


@pytest.mark.parametrize("url", [f"redis://:secret@{NOBODY}", f"postgresql+psycopg://churn:secret@{NOBODY}"])
def test_buckets_that_do_not_answer_say_so_and_keep_their_secrets(settings: Settings, url: str):
    place = {"redis_url": url} if url.startswith("redis") else {"database_url": url}
    with pytest.raises(StoreUnreachable) as unreachable:
        open_buckets(replace(settings, **place)).lease("one", 1, SLOW)
    assert "secret" not in str(unreachable.value)
