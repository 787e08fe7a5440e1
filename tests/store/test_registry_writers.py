"""Many processes write to the registry at once: nothing is lost, and of two same wishes one wins; on both databases."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy as sa

from churn.errors import PromotionRefused
from store.migrations import bring_up_to_date
from store.registry import ALL, Promotion, Registry
from store.tables import engine_for
from tests.faults.processes import PROCESSES

WRITERS, EACH = 4, 20
ROUNDS = 10

_together: Barrier


def meet(barrier: Barrier) -> None:
    """Gives a process the barrier at which it waits for the others; a task's arguments cannot carry one."""
    global _together
    _together = barrier


@pytest.fixture
def registry(database_with_tables: str) -> Registry:
    registry = Registry(engine_for(database_with_tables))
    bring_up_to_date(registry.engine)
    return registry


def registry_of(url: str) -> Registry:
    """The registry; to PostgreSQL on connections that are kept, since connecting takes longer than what is tried."""
    return Registry(engine_for(url) if url.startswith("sqlite") else sa.create_engine(url))


def register_and_promote(url: str, writer: int) -> list[int]:
    """Registers models and makes each champion, however often somebody else was quicker; gives their numbers."""
    registry = registry_of(url)
    _together.wait()
    return [promoted(registry, f"{writer:032x}{number:032x}", f"writer {writer}") for number in range(EACH)]


def promoted(registry: Registry, digest: str, who: str) -> int:
    version = registry.register("telco", digest)
    while True:
        champions = {segment: found.version for segment, found in registry.resolve_all("telco").items()}
        try:
            registry.promote(
                Promotion("telco", version, champions, who, "it is newer", (ALL, "prepaid"), override=True)
            )
        except PromotionRefused:
            continue
        return version


def promote_at_once(url: str, place: int) -> list[tuple[int, str]]:
    """In each round the version that it wished for, expecting the last round's winner, and what it was told."""
    registry, told = registry_of(url), []
    for number in range(ROUNDS):
        expected = registry.resolve("telco").version
        version = 2 + 2 * number + place
        _together.wait()
        try:
            registry.promote(Promotion("telco", version, expected, f"process {place}", "a race", override=True))
            told.append((version, "won"))
        except PromotionRefused as refused:
            told.append((version, refused.what))
        _together.wait()
    return told


def test_four_processes_that_register_and_promote_at_once_lose_nothing(registry: Registry, database_with_tables: str):
    barrier = PROCESSES.Barrier(WRITERS)
    with ProcessPoolExecutor(WRITERS, mp_context=PROCESSES, initializer=meet, initargs=(barrier,)) as pool:
        given = list(pool.map(register_and_promote, [database_with_tables] * WRITERS, range(WRITERS)))
    everyone = list(range(1, WRITERS * EACH + 1))
    assert sorted(version for numbers in given for version in numbers) == everyone
    assert [version.version for version in registry.versions("telco")] == everyone
    for segment in (ALL, "prepaid"):
        events = registry.history("telco", segment)
        assert sorted(event.to_version for event in events) == everyone
        assert events[0].from_version is None
        assert all(earlier.to_version == later.from_version for earlier, later in pairwise(events))
        assert registry.resolve("telco", segment).version == events[-1].to_version
    assert any(earlier.who != later.who for earlier, later in pairwise(events)), "they wrote one after the other"


def test_of_two_simultaneous_promotions_one_wins_and_the_other_is_told_who_is_champion(
    registry: Registry, database_with_tables: str
):
    for number in range(1, 2 * ROUNDS + 2):
        registry.register("telco", f"{number:064x}")
    registry.promote(Promotion("telco", 1, None, "the test", "somebody must be"))
    with ProcessPoolExecutor(2, mp_context=PROCESSES, initializer=meet, initargs=(PROCESSES.Barrier(2),)) as pool:
        both = list(pool.map(promote_at_once, [database_with_tables] * 2, range(2)))
    expected = 1
    for outcome in zip(*both, strict=True):
        told = dict(outcome)
        (winner,) = (version for version, what in told.items() if what == "won")
        (loser,) = told.keys() - {winner}
        assert told[loser] == f"version {winner} is champion, not version {expected}"
        expected = winner
    assert len(registry.history("telco")) == ROUNDS + 1
