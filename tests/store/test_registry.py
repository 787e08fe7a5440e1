"""The registry knows which model is champion, and loses nothing when many ask at once; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from traceback import format_exception

import pytest
import sqlalchemy as sa

from churn.errors import NoChampion, PromotionRefused, RegistryError, StoreUnreachable
from store.registry import Promotion, Registry, alias, model_version, open_registry
from store.tables import engine_for

START = datetime.fromisoformat("2026-01-01T00:00:00")


class Clock:
    """An hour passes each time somebody looks."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


@pytest.fixture
def registry(database_url: str) -> Registry:
    registry = Registry(engine_for(database_url), Clock())
    registry.create_tables()
    return registry


def with_versions(registry: Registry, count: int) -> Registry:
    for number in range(1, count + 1):
        assert registry.register("telco", f"{number:064x}") == number
    return registry


def promotion(version: int, expected: int | None, *segments: str) -> Promotion:
    return Promotion("telco", version, expected, "Ada", "better in October", segments or ("all",))


def test_the_registry_lies_in_the_database_of_the_settings(settings):
    open_registry(settings).register("telco", "a" * 64)
    assert [version.version for version in open_registry(settings).versions("telco")] == [1]


def test_versions_count_from_one_within_each_contract(registry):
    assert [registry.register("telco", letter * 64) for letter in "ab"] == [1, 2]
    assert registry.register("iranian", "a" * 64) == 1
    assert [version.digest for version in registry.versions("telco")] == ["a" * 64, "b" * 64]


def test_registering_a_model_again_gives_its_number(registry):
    with_versions(registry, 2)
    assert registry.register("telco", f"{1:064x}") == 1
    assert len(registry.versions("telco")) == 2


def test_before_anybody_is_promoted_there_is_no_champion(registry):
    with_versions(registry, 1)
    with pytest.raises(NoChampion, match="telco, segment prepaid"):
        registry.resolve("telco", "prepaid")


def test_a_segment_without_a_champion_of_its_own_has_that_of_all(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, None, "prepaid"))
    assert registry.resolve("telco", "prepaid").version == 2
    assert registry.resolve("telco", "postpaid").version == 1
    assert registry.resolve("telco").digest == f"{1:064x}"


def test_a_promotion_that_expects_another_champion_is_refused_and_changes_nothing(registry):
    with_versions(registry, 3).promote(promotion(1, None))
    registry.promote(promotion(2, 1))
    with pytest.raises(PromotionRefused, match="version 2 is champion, not version 1"):
        registry.promote(promotion(3, 1))
    with pytest.raises(PromotionRefused, match="version 2 is champion, not nobody"):
        registry.promote(promotion(3, None))
    assert registry.resolve("telco").version == 2
    assert len(registry.history("telco")) == 2


def test_several_segments_are_promoted_together_or_not_at_all(registry):
    with_versions(registry, 2).promote(promotion(1, None, "prepaid", "postpaid"))
    registry.promote(promotion(2, 1, "postpaid"))
    with pytest.raises(PromotionRefused, match="segment postpaid"):
        registry.promote(promotion(2, 1, "prepaid", "postpaid"))
    assert registry.resolve("telco", "prepaid").version == 1
    assert len(registry.history("telco", "prepaid")) == 1


def test_what_was_never_registered_cannot_be_promoted(registry):
    with pytest.raises(RegistryError, match="there is no version 7"):
        registry.promote(promotion(7, None))


def test_who_was_champion_is_known_for_every_moment_through_promotions_and_a_rollback(registry):
    with_versions(registry, 3)
    for version in (1, 2, 3):
        registry.promote(promotion(version, version - 1 or None))
    assert registry.rollback("telco", who="Grace", why="complaints") == 2
    happened = [event.happened_at for event in registry.history("telco")]
    moments = [happened[0] - timedelta(minutes=1), *(moment + timedelta(minutes=1) for moment in happened)]
    assert [registry.champion_at("telco", "all", moment) for moment in moments] == [None, 1, 2, 3, 2]
    last = registry.history("telco")[-1]
    assert (last.kind, last.from_version, last.to_version) == ("rollback", 3, 2)
    assert (last.who, last.why) == ("Grace", "complaints")


def test_going_back_twice_goes_back_two_champions_and_no_further_than_the_first(registry):
    with_versions(registry, 3)
    for version in (1, 2, 3):
        registry.promote(promotion(version, version - 1 or None))
    assert [registry.rollback("telco", who="Grace", why="again") for _ in range(2)] == [2, 1]
    with pytest.raises(NoChampion, match="nobody was champion before"):
        registry.rollback("telco", who="Grace", why="once more")


def test_the_database_itself_keeps_the_champion_from_being_deleted(registry):
    with_versions(registry, 1).promote(promotion(1, None))
    with pytest.raises(sa.exc.IntegrityError), registry.engine.begin() as connection:
        connection.execute(model_version.delete())
    with pytest.raises(sa.exc.IntegrityError), registry.engine.begin() as connection:
        connection.execute(alias.update().values(version=99))


def test_many_registrations_at_once_lose_nothing(registry):
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda number: registry.register("telco", f"{number:064x}"), range(40)))
    assert sorted(numbers) == list(range(1, 41))


def test_of_two_simultaneous_promotions_exactly_one_wins_and_the_other_is_told(registry):
    with_versions(registry, 3).promote(promotion(1, None))

    def attempt(version: int) -> str:
        try:
            registry.promote(promotion(version, 1))
        except PromotionRefused:
            return "told"
        return "won"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, (2, 3))) == ["told", "won"]
    assert len(registry.history("telco")) == 2


def test_making_the_tables_again_keeps_what_is_in_them(registry):
    with_versions(registry, 1)
    registry.create_tables()
    assert len(registry.versions("telco")) == 1


def test_a_database_that_is_away_is_named_without_its_password(settings):
    url = "postgresql+psycopg://writer:s3cret@127.0.0.1:1/churn?password=s3cret"
    away = r"postgresql\+psycopg://writer:\*\*\*@127.0.0.1:1/churn: the database does not answer: .*refused"
    with pytest.raises(StoreUnreachable, match=away) as caught:
        open_registry(replace(settings, database_url=url))
    assert "CHURN_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in "".join(format_exception(caught.value))
