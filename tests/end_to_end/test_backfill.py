"""Past nights are scored again, or for the first time, and nobody who reads newer nights or a sent list notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.errors import PublicationError, RequestError
from schemas.monitoring import DECISIONS
from store.artifacts import load_model, save_model
from store.lake import read_manifest
from store.monitoring import kept_night
from store.publication import Published, open_publisher
from store.registry import Promotion, open_registry
from store.settings import current_settings
from tests.end_to_end.nights import Nights, published_rows, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT, delivered, known_by, recorded_again, some_of, tables

FIRST = date.fromisoformat(FIRST_NIGHT)
MIDNIGHT = datetime.fromisoformat("2024-08-01T00:00")
THREE_DAYS_LATER = datetime.fromisoformat("2024-08-04T09:00")
DAY_AFTER = "2024-08-05"
LAST_MONTH = date(2024, 7, 1)
CORRECTED = 5  # customers


@pytest.fixture
def corrected(tmp_path: Path) -> str:
    """What was known when the first night began, and a correction of last month's usage that came three days later."""
    then = known_by(MIDNIGHT, tables())
    usage = then["usage_monthly"]
    few = usage.filter(pc.equal(usage["month"], LAST_MONTH)).slice(0, CORRECTED)
    late = recorded_again(few, THREE_DAYS_LATER, minutes=1.0, data_gb=0.0)
    return delivered(then | {"usage_monthly": pa.concat_tables([usage, late])}, tmp_path / "corrected")


def fill(nights: Nights, first: str, last: str, source: str | None = None, **parameters: Any) -> Any:
    from flows.backfill import backfill  # Prefect reads the environment when it is imported

    return backfill(first, last, source=source or nights.source, **parameters)


def catch_up(nights: Nights, until: str, source: str) -> Any:
    from flows.catch_up import catch_up as flow

    return flow(until=until, source=source)


def shown(as_of: date, kind: str = "scores") -> Published | None:
    return open_publisher(current_settings()).published("telco", kind, as_of)


def rows_by_customer(run: Published | Any) -> dict[str, dict[str, Any]]:
    """The score rows, but for the percentile: that is a customer's place among all, and moves with any of them."""
    rows = published_rows(run.folder, "scores").drop_columns("percentile")
    return {row["customer_id"]: row for row in rows.to_pylist()}


def test_a_correction_that_came_later_changes_nothing_of_what_was_known_then(nights: Nights, corrected: str) -> None:
    before, extracts = nights.shown(), len(list((nights.home / "data/lake/extracts/telco").iterdir()))
    (night,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT, corrected, known_at=FIRST_NIGHT)
    assert (night.state, night.scores.new, night.outreach) == ("already published", False, None)
    assert nights.shown() == before
    assert len(list((nights.home / "data/lake/extracts/telco").iterdir())) == extracts + 1  # it did see other facts


def test_the_same_facts_give_the_same_bytes(nights: Nights, corrected: str) -> None:
    original = shown(FIRST)
    (again,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT, corrected, known_at=FIRST_NIGHT, force=True)
    assert original is not None
    assert again.scores.revision == 2
    assert read_manifest(again.scores.folder).digest == read_manifest(original.folder).digest


def test_a_later_moment_gives_a_revision_in_which_only_the_corrected_customers_differ(
    nights: Nights, corrected: str
) -> None:
    original, sent = shown(FIRST), view_rows("outreach_history")
    (night,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT, corrected, known_at=DAY_AFTER)
    assert (night.state, night.scores.revision) == ("published", 2)

    before, after = rows_by_customer(original), rows_by_customer(night.scores)
    assert before.keys() == after.keys()
    usage = known_by(MIDNIGHT, tables())["usage_monthly"]
    few = some_of(usage.filter(pc.equal(usage["month"], LAST_MONTH)), CORRECTED).to_pylist()
    changed = {customer for customer in before if before[customer] != after[customer]}
    assert changed
    assert changed <= set(few)
    assert {row["revision"] for row in view_rows("score_history")} == {2}
    assert view_rows("outreach_history") == sent

    (kept,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT, corrected)
    assert (kept.state, kept.scores) == ("kept", None)
    assert "later ones than were asked for" in kept.reason
    assert {row["revision"] for row in view_rows("score_history")} == {2}


def test_a_promotion_since_changes_no_published_night_unless_it_is_asked_to(nights: Nights) -> None:
    settings = current_settings()
    registry = open_registry(settings)
    now = registry.resolve("telco")
    model = load_model(now.digest, settings)
    assert model.manifest.card is not None
    colder = model.card.intercept - 0.01
    entry = model.manifest.card.model_copy(update={"intercept": colder})
    manifest = model.manifest.model_copy(update={"card": entry})
    other = replace(model, model=replace(model.card, intercept=colder), manifest=manifest)
    version = registry.register("telco", save_model(other, settings))
    registry.promote(Promotion("telco", version, now.version, who="the test", why="another champion", override=True))

    (then,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT)
    assert then.state == "already published"
    (today,) = fill(nights, FIRST_NIGHT, FIRST_NIGHT, model="now")
    assert (today.state, today.scores.revision) == ("published", 2)
    assert {row["model_version"] for row in view_rows("score_history")} == {version}


def test_todays_night_is_watched_when_it_is_caught_up_with_and_older_ones_are_not(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, third = (date(2024, 8, day) for day in (2, 3))
    monkeypatch.setattr("tasks.backfill.is_todays", lambda night: night.as_of == third)
    fill(nights, str(second), str(third), lists=True)
    assert [shown(day, "outreach") is not None for day in (second, third)] == [True, True]
    assert [kept_night(current_settings(), DECISIONS, "telco", day).num_rows for day in (second, third)] == [0, 1]


def test_a_moment_that_has_not_come_is_refused_before_any_work(nights: Nights) -> None:
    before = nights.files()
    with pytest.raises(RequestError, match="known_at: 2999-01-01 00:00:00 has not come yet"):
        fill(nights, FIRST_NIGHT, FIRST_NIGHT, known_at="2999-01-01")
    assert nights.files() == before


def broken_on_the_second(folder: Path) -> str:
    """A feed in which everybody has an unknown segment from the first of August at noon to the second at noon."""
    then = known_by(MIDNIGHT, tables())
    people = then["customers"]
    fault = recorded_again(people, datetime.fromisoformat("2024-08-01T12:00"), segment="hybrid")
    mended = recorded_again(people, datetime.fromisoformat("2024-08-02T12:00"))
    return delivered(then | {"customers": pa.concat_tables([people, fault, mended])}, folder)


def test_missed_nights_are_caught_up_with_and_a_failed_one_is_tried_again(nights: Nights, tmp_path: Path) -> None:
    second, third = (date(2024, 8, day) for day in (2, 3))
    with pytest.raises(PublicationError, match="1 of 2 nights failed: 2024-08-02 QualityError telco customer/segment"):
        catch_up(nights, "2024-08-03", broken_on_the_second(tmp_path / "broken"))
    assert [shown(day) is not None for day in (second, third)] == [False, True]
    assert [shown(day, "outreach") is not None for day in (second, third)] == [False, False]
    assert {row["as_of"] for row in view_rows("outreach_current")} == {FIRST_NIGHT}

    before = nights.shown()
    mended = delivered(known_by(MIDNIGHT, tables()), tmp_path / "mended")
    (gap,) = catch_up(nights, "2024-08-03", mended)
    assert (gap.as_of, gap.state, gap.outreach) == (second, "published", None)
    assert nights.shown() == before  # readers of the newest night see what they saw
    assert catch_up(nights, "2024-08-03", mended) == ()

    outcomes = fill(nights, "2024-08-02", "2024-08-03", mended, lists=True)
    assert [outcome.state for outcome in outcomes] == ["already published", "already published"]
    assert all(outcome.outreach.new for outcome in outcomes)  # as it was asked for
