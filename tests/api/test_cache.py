"""Where answers are kept, the same question is answered alike and without scoring, and any other anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from redis import Redis

from api import predictions
from api.app import create_app
from churn.errors import SettingsError
from store.answer_shelves import KEPT_SECONDS, PREFIX, MemoryShelf, RedisShelf, open_shelf
from store.registry import Version
from store.service_settings import ServiceSettings, read_service_settings
from store.settings import Settings
from tests import redis_server
from tests.api.odd_bodies import CUSTOMER
from tests.api.service import TINY, running

PATH = "/api/v1/predictions"


@pytest.mark.parametrize(("kept", "scored"), [("off", 3), ("memory", 2)])
def test_the_same_customer_is_scored_once_where_answers_are_kept(
    settings: Settings, champion: Version, monkeypatch: pytest.MonkeyPatch, kept: str, scored: int
):
    scores = []
    really = predictions.predicted
    monkeypatch.setattr(predictions, "predicted", lambda *asked: scores.append(asked) or really(*asked))
    with running(create_app(settings, TINY.name, ServiceSettings(answer_cache=kept))) as ask:
        first, again, other = (
            ask("POST", PATH, json=customer).json() for customer in (CUSTOMER, CUSTOMER, CUSTOMER | {"tenure": 2})
        )
    assert first == again
    assert other["log_odds"] != first["log_odds"]
    assert len(scores) == scored


def test_answers_go_when_their_time_is_over_and_when_there_are_too_many():
    async def kept() -> list[bytes | None]:
        small, short = MemoryShelf(most=2), MemoryShelf(seconds=0.0)
        for number in (b"1", b"2", b"3"):
            await small.put(number, number)
            await short.put(number, number)
        return [await small.get(b"1"), await small.get(b"3"), await short.get(b"3")]

    assert asyncio.run(kept()) == [None, b"3", None]


def test_redis_keeps_answers_for_a_while_and_once_it_dies_each_is_made_anew(
    settings: Settings, champion: Version, monkeypatch: pytest.MonkeyPatch
):
    scores = []
    really = predictions.predicted
    monkeypatch.setattr(predictions, "predicted", lambda *asked: scores.append(asked) or really(*asked))
    kept_in_redis = ServiceSettings(answer_cache="redis")
    with redis_server.server() as (url, process):
        service = create_app(replace(settings, redis_url=url), TINY.name, kept_in_redis)
        with running(service) as ask:
            first, again = (ask("POST", PATH, json=CUSTOMER).content for _ in range(2))
            assert (first, len(scores)) == (again, 1)
            with Redis.from_url(url) as client:
                assert [0 < client.ttl(key) <= KEPT_SECONDS for key in client.keys(PREFIX + b"*")] == [True]
            process.kill()
            process.wait(10)
            assert ask("POST", PATH, json=CUSTOMER).content == first
            assert len(scores) == 2


def test_a_redis_that_is_away_is_as_good_as_none():
    async def kept() -> bytes | None:
        shelf = RedisShelf("redis://127.0.0.1:1/0")
        await shelf.put(b"1", b"1")
        return await shelf.get(b"1")

    assert asyncio.run(kept()) is None


def test_what_keeps_no_answers_is_refused_by_its_variable(settings: Settings):
    wanted = read_service_settings({"CHURN_ANSWER_CACHE": "disk"}).answer_cache
    with pytest.raises(SettingsError, match="CHURN_ANSWER_CACHE"):
        open_shelf(wanted, settings)
    with pytest.raises(SettingsError, match="CHURN_REDIS_URL"):
        open_shelf("redis", replace(settings, redis_url=""))
