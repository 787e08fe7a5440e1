"""The registry knows which model is champion, and loses nothing when many ask at once; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from traceback import format_exception

import pytest
import sqlalchemy as sa

from churn.errors import NoChampion, PromotionRefused, RegistryError, StoreUnreachable
from store.migrations import bring_up_to_date
from store.registry import Promotion, Registry, Rollback, VerdictEntry, open_registry
from store.registry_tables import alias, alias_event, model_version, verdict
from store.settings import Settings
from store.tables import engine_for

START = datetime.fromisoformat("2026-01-01T00:00:00")


class Clock:
    """An hour passes each time somebody looks."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self, _: object = None) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


@pytest.fixture
def registry(database_with_tables: str) -> Registry:
    registry = Registry(engine_for(database_with_tables), Clock())
    bring_up_to_date(registry.engine)
    return registry


@pytest.fixture
def fresh_registry(settings: Settings) -> Registry:
    """In SQLite, whose INSERT OR REPLACE PostgreSQL does not know."""
    return open_registry(settings)


def with_versions(registry: Registry, count: int) -> Registry:
    for number in range(1, count + 1):
        assert registry.register("telco", f"{number:064x}") == number
    return registry


def promotion(version: int, expected: int | None, *segments: str) -> Promotion:
    """A promotion whatever the gate says, since most of what is tried here is no matter of it."""
    return Promotion("telco", version, expected, "Ada", "better in October", segments or ("all",), override=True)


def by_the_gate(version: int, expected: int | None, *segments: str) -> Promotion:
    return replace(promotion(version, expected, *segments), override=False)


def back(to: int | None = None, *segments: str, expected: int | None = None) -> Rollback:
    return Rollback("telco", "Grace", "complaints", segments or ("all",), to, expected)


def judged(version: int, *, passed: bool, segment: str = "all", against: int | None = 1) -> VerdictEntry:
    rule = None if passed else "money"
    says = "EMPC 1.90 is 0.20 below the champion's 2.10, interval -0.31 to -0.09."
    return VerdictEntry("telco", version, segment, against, "default", "f" * 64, passed, rule, says)


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
    with_versions(registry, 3).promote(promotion(1, None, "prepaid", "postpaid"))
    registry.promote(promotion(2, 1, "postpaid"))
    with pytest.raises(PromotionRefused, match="segment postpaid"):
        registry.promote(promotion(3, 1, "prepaid", "postpaid"))
    assert registry.resolve("telco", "prepaid").version == 1
    assert len(registry.history("telco", "prepaid")) == 1


def test_what_was_never_registered_cannot_be_promoted(registry):
    with pytest.raises(RegistryError, match="no model is registered"):
        registry.promote(promotion(7, None))
    with_versions(registry, 3)
    with pytest.raises(RegistryError, match="there is no version 7"):
        registry.promote(promotion(7, None))


def test_who_was_champion_is_known_for_every_moment_through_promotions_and_a_rollback(registry):
    with_versions(registry, 3)  # the clock moves an hour with each version and each change: 1:00, 2:00, 3:00
    for version in (1, 2, 3):  # at 4:00, 5:00 and 6:00
        registry.promote(promotion(version, version - 1 or None))
    assert registry.rollback(back(2)) == {"all": 2}  # at 7:00
    table = [
        # at      champion
        ("03:59", None),
        ("04:00", 1),
        ("05:30", 2),
        ("06:59", 3),
        ("07:00", 2),
        ("23:59", 2),
    ]
    assert [(at, registry.champion_at("telco", "all", moment_at(at))) for at, _ in table] == table
    last = registry.history("telco")[-1]
    assert (last.kind, last.from_version, last.to_version) == ("rollback", 3, 2)
    assert (last.who, last.why) == ("Grace", "complaints")


def moment_at(time: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-01T{time}")


def test_who_was_champion_of_each_segment_is_known_at_once(registry):
    with_versions(registry, 2).promote(promotion(1, None, "all", "prepaid"))
    registry.promote(promotion(2, 1, "prepaid"))
    assert registry.champions_at("telco", registry.clock()) == {"all": 1, "prepaid": 2}
    assert registry.champions_at("telco", START) == {}


def test_going_back_twice_goes_back_two_champions_and_no_further_than_the_first(registry):
    with_versions(registry, 3)
    for version in (1, 2, 3):
        registry.promote(promotion(version, version - 1 or None))
    assert [registry.rollback(back()) for _ in range(2)] == [{"all": 2}, {"all": 1}]
    with pytest.raises(NoChampion, match="nobody was champion before"):
        registry.rollback(back())


def test_going_back_comes_to_the_first_champion_though_one_was_promoted_twice(registry):
    for version, before in ((1, None), (2, 1), (3, 2), (2, 3)):
        with_versions(registry, 3).promote(promotion(version, before))
    assert [registry.rollback(back())["all"] for _ in range(3)] == [3, 2, 1]


def test_a_rollback_to_a_named_champion_undoes_all_who_came_after(registry):
    for version, before in ((1, None), (2, 1), (3, 2), (4, 3)):
        with_versions(registry, 4).promote(promotion(version, before))
    assert registry.rollback(back(2)) == {"all": 2}
    assert registry.rollback(back()) == {"all": 1}


def test_several_segments_go_back_together_or_not_at_all(registry):
    with_versions(registry, 2).promote(promotion(1, None, "prepaid", "postpaid"))
    registry.promote(promotion(2, 1, "prepaid"))
    with pytest.raises(NoChampion, match="segment postpaid: nobody was champion before"):
        registry.rollback(back(None, "prepaid", "postpaid"))
    assert registry.resolve("telco", "prepaid").version == 2
    registry.promote(promotion(2, 1, "postpaid"))
    assert registry.rollback(back(None, "prepaid", "postpaid")) == {"prepaid": 1, "postpaid": 1}


def test_a_rollback_undoes_nobody_who_was_promoted_meanwhile(registry):
    for version, before in ((1, None), (2, 1), (3, 2)):
        with_versions(registry, 4).promote(promotion(version, before))
    settled = registry.way_back(back())
    registry.promote(promotion(4, 3))
    for wish in (settled, back(2, expected=3)):
        with pytest.raises(PromotionRefused, match="version 4 is champion, not version 3"):
            registry.rollback(wish)
    assert registry.resolve("telco").version == 4


def test_who_did_not_hear_that_it_was_done_may_ask_again(registry):
    with_versions(registry, 3).promote(promotion(1, None))
    for _ in range(2):
        registry.promote(promotion(2, 1))
    registry.promote(promotion(3, 2))
    settled = registry.way_back(back())
    assert [registry.rollback(settled) for _ in range(2)] == [{"all": 2}, {"all": 2}]
    assert [event.to_version for event in registry.history("telco")] == [1, 2, 3, 2]


def test_several_versions_are_promoted_together_or_not_at_all(registry):
    with_versions(registry, 3).promote(promotion(1, None))
    wishes = [promotion(2, 1), promotion(3, None, "prepaid")]
    with pytest.raises(PromotionRefused, match="segment postpaid: nobody is champion, not version 1"):
        registry.promote(*wishes, promotion(3, 1, "postpaid"))
    assert {segment: found.version for segment, found in registry.resolve_all("telco").items()} == {"all": 1}
    registry.promote(*wishes)
    assert {segment: found.version for segment, found in registry.resolve_all("telco").items()} == {
        "all": 2,
        "prepaid": 3,
    }
    with pytest.raises(PromotionRefused, match="version 3 is champion, not nobody"):
        registry.promote(promotion(3, None, "postpaid"), promotion(2, None, "postpaid"))


def test_one_goes_back_only_to_who_was_champion_of_that_segment(registry):
    with_versions(registry, 3).promote(promotion(1, None))
    registry.promote(promotion(2, None, "prepaid"))
    registry.promote(promotion(3, 1))
    with pytest.raises(NoChampion, match="telco, segment all: version 2 was never champion"):
        registry.rollback(back(2))
    with pytest.raises(NoChampion, match="version 3 is champion now"):
        registry.rollback(back(3))
    assert registry.rollback(back(1)) == {"all": 1}


def test_all_champions_are_resolved_at_once(registry):
    assert registry.resolve_all("telco") == {}
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, None, "prepaid"))
    found = registry.resolve_all("telco")
    assert {segment: version.version for segment, version in found.items()} == {"all": 1, "prepaid": 2}
    assert found["prepaid"] == registry.resolve("telco", "prepaid")


def test_each_segment_may_expect_a_champion_of_its_own(registry):
    with_versions(registry, 3).promote(promotion(1, None, "all"))
    registry.promote(promotion(2, None, "prepaid"))
    wish = promotion(3, None, "all", "prepaid", "postpaid")
    with pytest.raises(PromotionRefused, match="segment prepaid: version 2 is champion, not version 1"):
        registry.promote(replace(wish, expected={"all": 1, "prepaid": 1}))
    registry.promote(replace(wish, expected={"all": 1, "prepaid": 2}))
    assert {segment: found.version for segment, found in registry.resolve_all("telco").items()} == {
        "all": 3,
        "postpaid": 3,
        "prepaid": 3,
    }


def test_who_is_champion_already_stays_it_without_an_event(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, 1))
    registry.promote(promotion(2, 2))
    assert len(registry.history("telco")) == 2
    assert registry.rollback(back()) == {"all": 1}


def test_a_refused_challenger_is_promoted_only_by_an_override_which_the_event_keeps(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.record_verdict(judged(2, passed=False))
    refusal = r"gate default refused version 2 by its rule money: EMPC 1\.90 .* interval -0\.31 to -0\.09"
    with pytest.raises(PromotionRefused, match=refusal):
        registry.promote(by_the_gate(2, 1))
    registry.promote(promotion(2, 1))
    first, second = registry.history("telco")
    assert first.overridden is None
    assert second.overridden.startswith("the gate default refused version 2")


def test_the_last_verdict_of_the_segment_counts(registry):
    with_versions(registry, 2)
    registry.record_verdict(judged(2, passed=False))
    registry.record_verdict(judged(2, passed=False, segment="prepaid"))
    registry.record_verdict(judged(2, passed=True))
    registry.promote(promotion(2, None))
    assert registry.history("telco")[-1].overridden is None, "nothing was there to override"
    with pytest.raises(PromotionRefused, match="segment prepaid"):
        registry.promote(by_the_gate(2, None, "prepaid"))
    assert registry.verdict("telco", 2) == replace(judged(2, passed=True), judged_at=moment_at("05:00"))
    assert registry.verdict("telco", 1) is None
    assert [entry.passed for entry in registry.verdicts("telco")] == [False, False, True]


def test_who_was_refused_takes_no_other_segment_s_place_either(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.record_verdict(judged(2, passed=False))
    for segments in (("prepaid",), ("postpaid", "prepaid")):
        with pytest.raises(PromotionRefused, match="refused version 2 by its rule money"):
            registry.promote(by_the_gate(2, None, *segments))
    registry.record_verdict(judged(2, passed=True))
    registry.promote(by_the_gate(2, None, "prepaid"))


def test_who_was_never_judged_takes_only_a_place_that_nobody_scores(registry):
    with_versions(registry, 2).promote(by_the_gate(1, None))
    for segment, expected in (("all", 1), ("prepaid", None)):
        with pytest.raises(PromotionRefused, match="no gate has judged version 2, and version 1 scores the segment"):
            registry.promote(by_the_gate(2, expected, segment))
    registry.promote(promotion(2, 1))
    assert registry.history("telco")[-1].overridden.startswith("no gate has judged version 2")


def test_a_verdict_beside_one_champion_unseats_no_other(registry):
    with_versions(registry, 4).promote(promotion(1, None))
    registry.record_verdict(judged(2, passed=True, against=1))
    registry.promote(promotion(3, 1))
    with pytest.raises(PromotionRefused, match="compared version 2 with version 1, and version 3 scores the segment"):
        registry.promote(by_the_gate(2, 3))
    registry.record_verdict(judged(4, passed=True, against=None))
    with pytest.raises(PromotionRefused, match="compared version 4 with nobody, and version 3 scores"):
        registry.promote(by_the_gate(4, 3))
    assert registry.rollback(back()) == {"all": 1}
    registry.promote(by_the_gate(2, 1))


def test_a_segment_s_first_model_is_compared_with_that_of_all_before_or_after_the_same_promotion(registry):
    with_versions(registry, 4).promote(promotion(1, None))
    for version, segment, against in ((2, "all", 1), (3, "prepaid", 1), (4, "postpaid", 2)):
        registry.record_verdict(judged(version, passed=True, segment=segment, against=against))
    with pytest.raises(PromotionRefused, match="compared version 4 with version 2, and version 1 scores"):
        registry.promote(by_the_gate(4, None, "postpaid"))
    registry.promote(by_the_gate(4, None, "postpaid"), by_the_gate(3, None, "prepaid"), by_the_gate(2, 1))
    assert [event.overridden for event in registry.history("telco", None)] == [None] * 4


def test_no_verdict_stands_in_the_way_back(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, 1))
    registry.record_verdict(judged(1, passed=False))
    assert registry.rollback(back()) == {"all": 1}


def test_a_champion_of_any_segment_cannot_be_deleted(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, None, "prepaid", "postpaid"))
    with pytest.raises(RegistryError, match="version 2 is champion of postpaid, prepaid"):
        registry.delete("telco", 2, who="Ada", why="room")
    assert registry.version("telco", 2).deleted_at is None


def test_a_deleted_version_keeps_its_row_and_is_refused_wherever_it_would_be_used(registry):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.promote(promotion(2, 1))
    deleted = registry.delete("telco", 1, who="Ada", why="it took room")
    assert (deleted.digest, deleted.deleted_by, deleted.why_deleted) == (f"{1:064x}", "Ada", "it took room")
    assert registry.versions("telco")[0] == deleted
    assert registry.history("telco")[0].to_version == 1
    attempts = [
        lambda: registry.version("telco", 1),
        lambda: registry.promote(promotion(1, 2)),
        lambda: registry.rollback(back()),
        lambda: registry.rollback(back(1)),
        lambda: registry.delete("telco", 1, who="Ada", why="again"),
        lambda: registry.record_verdict(judged(1, passed=True)),
    ]
    for attempt in attempts:
        with pytest.raises(RegistryError, match=r"version 1 was deleted at 2026-01-01 05:00 UTC by Ada: it took room"):
            attempt()
    assert registry.resolve("telco").version == 2


def test_a_deleted_model_that_is_trained_again_is_a_new_version(registry):
    with_versions(registry, 2)
    registry.delete("telco", 1, who="Ada", why="room")
    assert [registry.register("telco", f"{1:064x}") for _ in range(2)] == [3, 3]
    registry.delete("telco", 3, who="Ada", why="room again")
    assert registry.register("telco", f"{1:064x}") == 4
    assert [version.why_deleted for version in registry.versions("telco")] == ["room", None, "room again", None]


def test_the_database_itself_keeps_the_champion_from_being_deleted(registry):
    with_versions(registry, 1).promote(promotion(1, None))
    with pytest.raises(sa.exc.IntegrityError), registry.engine.begin() as connection:
        connection.execute(model_version.delete())
    with pytest.raises(sa.exc.IntegrityError), registry.engine.begin() as connection:
        connection.execute(alias.update().values(version=99))


@pytest.mark.parametrize(
    ("change", "table"),
    [
        (alias_event.update().values(who="somebody else"), "alias_event"),
        (alias_event.delete(), "alias_event"),
        (verdict.update().values(passed=True), "verdict"),
        (verdict.delete(), "verdict"),
        (model_version.update().values(digest="0" * 64), "model_version"),
        (model_version.delete(), "model_version"),
    ],
    ids=str,
)
def test_the_database_itself_refuses_to_rewrite_what_happened(registry, change, table):
    with_versions(registry, 2).promote(promotion(1, None))
    registry.record_verdict(judged(2, passed=False))
    told = f"rows of {table} are only ever added"
    with pytest.raises(sa.exc.IntegrityError, match=told), registry.engine.begin() as connection:
        connection.execute(change)
    assert registry.history("telco")[0].who == "Ada"
    assert registry.verdict("telco", 2).passed is False


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (alias.update().values(version=2), "moves only with an event"),
        (alias.insert().values(contract="telco", segment="prepaid", version=2), "moves only with an event"),
        (alias.delete(), "only"),
    ],
    ids=str,
)
def test_the_database_itself_moves_no_champion_without_an_event(registry, change, told):
    with_versions(registry, 2).promote(promotion(1, None))
    with pytest.raises(sa.exc.IntegrityError, match=told), registry.engine.begin() as connection:
        connection.execute(change)
    assert {segment: found.version for segment, found in registry.resolve_all("telco").items()} == {"all": 1}


@pytest.mark.parametrize("table", ["alias_event", "verdict", "model_version"])
def test_what_happened_is_not_replaced_in_sqlite(fresh_registry, table):
    registry = with_versions(fresh_registry, 2)
    registry.promote(promotion(1, None))
    registry.record_verdict(judged(2, passed=False))
    columns = "*" if table != "model_version" else "contract, 9, digest, registered_at, NULL, NULL, NULL"
    told = f"rows of {table} are only ever added"
    for chosen in {"*", columns}:
        with pytest.raises(sa.exc.IntegrityError, match=told), registry.engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table} SELECT {chosen} FROM {table}")


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


def test_a_database_that_is_away_is_named_without_its_password(settings):
    url = "postgresql+psycopg://writer:s3cret@127.0.0.1:1/churn?password=s3cret"
    away = r"postgresql\+psycopg://writer:\*\*\*@127.0.0.1:1/churn: the database does not answer: .*refused"
    with pytest.raises(StoreUnreachable, match=away) as caught:
        open_registry(replace(settings, database_url=url))
    assert "CHURN_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in "".join(format_exception(caught.value))
