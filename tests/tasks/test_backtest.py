"""What became of a night's scores is seen once its horizon is over, from who left by what was known then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from store.artifacts import delete_model
from store.lake import bucket_file, describe, read_parquet, write_manifest, write_parquet
from store.monitoring import kept_backtest
from store.publication import open_publisher
from store.settings import Settings, current_settings
from store.tables import statuses
from tasks.backtest import LATE_DAYS, follow_up
from tests.end_to_end.nights import living_in
from tests.small_telecom import write_extract
from tests.watched_nights import EXTRACT, REGIONS, customers, publish_night, save_card, spoil

FIRST = date(2026, 1, 1)
MATURED = FIRST + timedelta(days=30)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with living_in(tmp_path):
        settings = current_settings()
        tells(settings, left_after(FIRST), newest=FIRST + timedelta(days=60))
        yield settings


def tells(settings: Settings, churn_events: str, newest: date) -> None:
    """The source has these departures, and its newest fact is of that date."""
    folder = open_publisher(settings).lake.extract("telco", EXTRACT)
    shutil.rmtree(folder, ignore_errors=True)
    write_extract(folder, churn_events=churn_events)
    facts = {"contract": "telco", "rows": {}, "newest": datetime.combine(newest, time()).isoformat()}
    write_manifest(describe(folder, facts), folder)


def left_after(night: date) -> str:
    """One customer in fifty leaves a week after the night, one before it, and one when its horizon is over."""
    days = {7: range(0, 4_000, 50), -1: [3], 30: [5]}
    lines = [
        f"C{number:06d}  {night + timedelta(days=after)}  {night + timedelta(days=max(after, 0))}"
        for after, numbers in days.items()
        for number in numbers
    ]
    return "\n".join(["customer_id  churned_on  recorded_at", *lines])


def test_a_night_is_looked_back_on_once_when_its_horizon_is_over(settings: Settings) -> None:
    digest, base = save_card(settings), nobody_to_contact()
    publish_night(settings, FIRST, base, digest)
    publish_night(settings, MATURED - timedelta(days=1), base, digest)
    assert follow_up.fn("telco", MATURED - timedelta(days=1)) == 0, "its horizon is not over"
    publish_night(settings, MATURED, base, digest)
    assert follow_up.fn("telco", MATURED) == 1
    assert follow_up.fn("telco", MATURED) == 0, "it was looked back on"
    rows = {(row["feature"], row["value"]): row for row in kept_backtest(settings, "telco", FIRST).to_pylist()}
    assert {value for feature, value in rows if feature == "region"} == set(REGIONS)
    everybody = rows["all", "all"]
    assert (everybody["customers"], everybody["churners"]) == (4_000, 80), "who left before or after does not count"
    assert everybody["auc"] == pytest.approx(0.5, abs=0.1), "who left was no matter of risk"
    assert sum(rows["region", region]["churners"] for region in REGIONS) == 80


def nobody_to_contact() -> pa.Table:
    """Customers of whom none is listed, so that each stands for himself."""
    rows = customers()
    place = rows.column_names.index("do_not_contact")
    return rows.set_column(place, "do_not_contact", pa.array([True] * len(rows)))


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_a_night_whose_files_cannot_be_read_is_passed_over_and_the_others_are_told_of(
    settings: Settings, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    digest, second = save_card(settings), FIRST + timedelta(days=1)
    for night in (FIRST, second, MATURED + timedelta(days=1)):
        publish_night(settings, night, nobody_to_contact(), digest)
    spoil(FIRST, harm)
    assert follow_up.fn("telco", MATURED + timedelta(days=1)) == 1
    assert "nobody can say what became of its scores: its files cannot be read" in caplog.text
    assert set(kept_backtest(settings, "telco", MATURED)["as_of"].to_pylist()) == {second}


def test_a_night_from_before_the_contract_had_a_column_is_told_of_without_it(settings: Settings) -> None:
    digest = save_card(settings)
    then = publish_night(settings, FIRST, nobody_to_contact(), digest)
    for bucket in then.every_bucket:
        file = then.snapshot / bucket_file(bucket)
        write_parquet(read_parquet([file]).drop_columns(["region"]), file)
    publish_night(settings, MATURED, nobody_to_contact(), digest)
    assert follow_up.fn("telco", MATURED) == 1
    told = set(kept_backtest(settings, "telco", FIRST)["feature"].to_pylist())
    assert {"all", "segment"} <= told
    assert "region" not in told


@pytest.mark.parametrize(("left", "as_many"), [("listed", 0), ("held_out", 1)])
def test_those_held_out_stand_for_all_whom_the_lot_was_drawn_among(settings: Settings, left: str, as_many: int) -> None:
    """Whoever was listed was perhaps contacted, and says nothing of what comes of itself."""
    digest = save_card(settings)
    publish_night(settings, FIRST, customers(), digest)
    drawn = {status: on_the_list(settings, status) for status in ("listed", "held_out")}
    tells(settings, left_a_week_after(FIRST, drawn[left]), newest=MATURED)
    publish_night(settings, MATURED, customers(), digest)
    assert follow_up.fn("telco", MATURED) == 1
    everybody = sum(map(len, drawn.values()))
    assert 0 < len(drawn["held_out"]) < everybody / 10
    assert churners(settings) == pytest.approx(as_many * everybody)


def on_the_list(settings: Settings, status: str) -> list[str]:
    """The customers of the first night's list of that status."""
    asked = sa.select(statuses.c.customer_id).where(statuses.c.as_of == FIRST, statuses.c.status == status)
    with open_publisher(settings).engine.connect() as connection:
        return list(connection.scalars(asked))


def left_a_week_after(night: date, names: list[str]) -> str:
    gone = night + timedelta(days=7)
    return "\n".join(["customer_id  churned_on  recorded_at", *(f"{name}  {gone}  {gone}" for name in names)])


def churners(settings: Settings) -> float:
    [row] = [row for row in kept_backtest(settings, "telco", FIRST).to_pylist() if row["feature"] == "all"]
    return float(row["churners"])


def test_a_source_that_was_copied_before_the_horizon_was_over_says_of_nobody_that_he_stayed(settings: Settings) -> None:
    digest = save_card(settings)
    tells(settings, "customer_id  churned_on  recorded_at\nC000001  2025-12-20  2025-12-21", FIRST)
    for night in (FIRST, MATURED):
        publish_night(settings, night, customers(), digest)
    assert follow_up.fn("telco", MATURED) == 0
    tells(settings, left_after(FIRST), MATURED)
    assert follow_up.fn("telco", MATURED) == 1


def test_a_night_is_looked_back_on_once_more_when_those_are_known_who_were_written_down_late(
    settings: Settings,
) -> None:
    digest, later = save_card(settings), MATURED + timedelta(days=LATE_DAYS)
    for night in (FIRST, MATURED, later):
        publish_night(settings, night, nobody_to_contact(), digest)
    assert follow_up.fn("telco", MATURED) == 1
    assert churners(settings) == 80
    late = "\n".join(f"C{number:06d}  {FIRST + timedelta(days=29)}  {later}" for number in range(1, 4_000, 50))
    tells(settings, f"{left_after(FIRST)}\n{late}", later)
    assert [follow_up.fn("telco", later) for _ in range(2)] == [1, 0]
    assert churners(settings) == 160


def test_a_night_whose_model_is_gone_is_told_and_passed_over(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    digest = save_card(settings)
    publish_night(settings, FIRST, customers(), digest)
    publish_night(settings, MATURED, customers(), digest)
    delete_model(digest, settings)
    assert follow_up.fn("telco", MATURED) == 0
    assert "nobody can say what became of its scores" in caplog.text
