"""A challenger in the shadow gets its place by itself once its nights are over, unless one of them went wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from churn.contract import arrow_schema
from schemas.shadow import SHADOW_SCORES, Ending
from store.registry import Promotion, Registry, VerdictEntry
from store.settings import Settings, read_settings
from store.shadow_tables import shadows
from store.shadows import Wish, in_shadow, keep_shadow_night, send_into_shadow, settle
from store.tables import engine_for

NIGHT = date(2026, 3, 1)
WISH = Wish("telco", "all", 2, 1, 3, "default", "the retraining flow", "it passed the gate")


@pytest.fixture
def settings(database_with_tables: str, tmp_path: Any) -> Settings:
    """A database in which version 1 is champion, and versions 2 and 3 have passed the gate beside it."""
    settings = read_settings({"CHURN_HOME": str(tmp_path), "CHURN_DATABASE_URL": database_with_tables})
    assert in_shadow(settings, "telco") == ()
    registry = registry_of(settings)
    for number in (1, 2, 3):
        registry.register("telco", f"{number:064x}")
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    for number in (2, 3):
        registry.record_verdict(VerdictEntry("telco", number, "all", 1, "default", "a" * 64, True, None, "Slope 1."))
    return settings


def registry_of(settings: Settings) -> Registry:
    return Registry(engine_for(settings.database_url))


def champion(settings: Settings) -> int:
    return registry_of(settings).resolve("telco").version


def night(
    settings: Settings,
    number: int,
    wish: Wish = WISH,
    *,
    red: str | None = None,
    customers: tuple[str, ...] = ("C1", "C2"),
) -> None:
    as_of = NIGHT + timedelta(days=number)
    told = {"customers": 2, "mean": 0.02, "champion_mean": 0.03, "calibrated_to": 0.02, "overlap": 0.5}
    rows = [
        {"contract": "telco", "segment": wish.segment, "version": wish.version, "as_of": as_of, "customer_id": customer}
        | {"log_odds": -4.0, "probability": 0.018, "champion_probability": 0.03}
        for customer in customers
    ]
    scores = pa.Table.from_pylist(rows, schema=arrow_schema(SHADOW_SCORES))
    keep_shadow_night(settings, wish, told | {"as_of": as_of, "red": red, "run_id": "r"}, scores)


def asked(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with engine_for(settings.database_url).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def says(settings: Settings, version: int) -> str:
    with engine_for(settings.database_url).connect() as connection:
        return str(connection.scalar(sa.select(shadows.c.says).where(shadows.c.version == version)))


def test_a_challenger_is_promoted_after_its_nights_and_not_before(settings: Settings) -> None:
    send_into_shadow(settings, [WISH])
    for number in (1, 2):
        night(settings, number)
        assert settle(settings, "telco") == {}
        assert champion(settings) == 1
    night(settings, 3)
    assert settle(settings, "telco") == {WISH: Ending.PROMOTED}
    assert (champion(settings), in_shadow(settings, "telco")) == (2, ())
    [_, event] = registry_of(settings).history("telco")
    assert (event.who, event.why) == (
        "the retraining flow",
        "its nights in the shadow went well: it passed the gate",
    )


def test_a_night_that_is_repeated_counts_once(settings: Settings) -> None:
    send_into_shadow(settings, [WISH])
    for _ in range(3):
        night(settings, 1)
    assert settle(settings, "telco") == {}
    assert asked(settings, "SELECT count(*) FROM shadow_comparison") == [(1,)]


def test_a_red_night_ends_the_waiting_and_nobody_is_promoted(settings: Settings) -> None:
    send_into_shadow(settings, [WISH])
    night(settings, 1)
    night(settings, 2, red="1 of 2 customers have no score")
    assert settle(settings, "telco") == {WISH: Ending.RED}
    assert (champion(settings), in_shadow(settings, "telco")) == (1, ())
    assert says(settings, 2) == "as of 2026-03-03 1 of 2 customers have no score"


def test_bi_sees_the_scores_of_the_newest_night_while_the_challenger_waits(settings: Settings) -> None:
    send_into_shadow(settings, [WISH])
    for number in (1, 2):
        night(settings, number)
    assert [(str(row[0]), *row[1:]) for row in _seen(settings)] == [
        ("2026-03-03", one, 2, 0.018) for one in ("C1", "C2")
    ]
    night(settings, 3)
    settle(settings, "telco")
    assert _seen(settings) == []
    assert asked(settings, "SELECT * FROM shadow_score") == []


def test_a_night_of_many_is_kept_by_portions_of_which_none_is_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that in SQLite who logs a look-up waits for a few thousand rows, and not for a whole base."""
    monkeypatch.setattr("store.partitions.AT_ONCE", 2)
    send_into_shadow(settings, [WISH])
    many = tuple(f"C{number}" for number in range(5))
    night(settings, 1, customers=many)
    assert [row[1] for row in _seen(settings)] == list(many)
    night(settings, 2, customers=many[1:])
    assert [(str(row[0]), row[1]) for row in _seen(settings)] == [("2026-03-03", one) for one in many[1:]]


def test_scores_of_a_challenger_that_waits_no_longer_are_seen_by_nobody_and_go_with_the_next_change(
    settings: Settings,
) -> None:
    """As where a run dies before it has removed them."""
    send_into_shadow(settings, [WISH])
    night(settings, 1)
    with engine_for(settings.database_url).begin() as connection:
        connection.execute(shadows.update().values(ending=Ending.RED.value))
    assert _seen(settings) == []
    assert settle(settings, "telco") == {}
    assert asked(settings, "SELECT * FROM shadow_score") == []


def test_a_night_counts_once_its_scores_are_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    send_into_shadow(settings, [replace(WISH, nights=1)])
    monkeypatch.setattr("store.shadows._load", _on_a_full_disk)
    with pytest.raises(OSError, match="full"):
        night(settings, 1, replace(WISH, nights=1))
    assert settle(settings, "telco") == {}


def _on_a_full_disk(*_: object) -> None:
    raise OSError("the disk is full")


def _seen(settings: Settings) -> list[tuple[Any, ...]]:
    return asked(settings, "SELECT as_of, customer_id, version, probability FROM score_shadow ORDER BY customer_id")


def test_a_newer_challenger_takes_the_place_of_one_that_waits_and_asking_twice_changes_nothing(
    settings: Settings,
) -> None:
    newer = replace(WISH, version=3)
    send_into_shadow(settings, [WISH])
    night(settings, 1)
    send_into_shadow(settings, [WISH])
    assert asked(settings, "SELECT count(*) FROM shadow_comparison") == [(1,)]
    send_into_shadow(settings, [newer])
    assert in_shadow(settings, "telco") == (newer,)
    assert says(settings, 2) == "version 3 wants the place"


def test_whose_champion_was_changed_meanwhile_is_overtaken(settings: Settings) -> None:
    send_into_shadow(settings, [WISH])
    registry_of(settings).promote(Promotion("telco", 3, 1, "Ada", "better"))
    for number in (1, 2, 3):
        night(settings, number)
    assert settle(settings, "telco") == {WISH: Ending.OVERTAKEN}
    assert champion(settings) == 3
    assert says(settings, 2) == "version 3 is champion, not version 1"


def test_a_promotion_of_which_the_shadow_has_not_heard_is_no_second_one(settings: Settings) -> None:
    """As where a run dies between the two."""
    send_into_shadow(settings, [WISH])
    for number in (1, 2, 3):
        night(settings, number)
    registry_of(settings).promote(Promotion("telco", 2, 1, "the retraining flow", "died after this"))
    assert settle(settings, "telco") == {WISH: Ending.PROMOTED}
    assert len(registry_of(settings).history("telco")) == 2
