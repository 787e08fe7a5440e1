"""What became of a night's scores is seen once its horizon is over, from who left by what was known then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from store.artifacts import delete_model
from store.monitoring import kept_backtest
from store.publication import open_publisher
from store.settings import Settings, current_settings
from tasks.backtest import follow_up
from tests.end_to_end.nights import living_in
from tests.small_telecom import write_extract
from tests.watched_nights import EXTRACT, REGIONS, customers, publish_night, save_card

FIRST = date(2026, 1, 1)
MATURED = FIRST + timedelta(days=30)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with living_in(tmp_path):
        settings = current_settings()
        lake = open_publisher(settings).lake
        write_extract(lake.extract("telco", EXTRACT), churn_events=left_after(FIRST))
        yield settings


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
    digest = save_card(settings)
    publish_night(settings, FIRST, customers(), digest)
    publish_night(settings, MATURED - timedelta(days=1), customers(), digest)
    assert follow_up.fn("telco", MATURED - timedelta(days=1)) == 0, "its horizon is not over"
    publish_night(settings, MATURED, customers(), digest)
    assert follow_up.fn("telco", MATURED) == 1
    assert follow_up.fn("telco", MATURED) == 0, "it was looked back on"
    rows = {(row["feature"], row["value"]): row for row in kept_backtest(settings, "telco", FIRST).to_pylist()}
    assert {value for feature, value in rows if feature == "region"} == set(REGIONS)
    everybody = rows["all", "all"]
    assert everybody["customers"] == pytest.approx(4_000)
    assert 70 <= everybody["churners"] <= 90, "neither who had left before nor who left after"
    assert everybody["auc"] == pytest.approx(0.5, abs=0.1), "who left was no matter of risk"
    assert sum(rows["region", region]["churners"] for region in REGIONS) == pytest.approx(everybody["churners"])


def test_a_night_whose_model_is_gone_is_told_and_passed_over(settings: Settings, caplog) -> None:
    digest = save_card(settings)
    publish_night(settings, FIRST, customers(), digest)
    publish_night(settings, MATURED, customers(), digest)
    delete_model(digest, settings)
    assert follow_up.fn("telco", MATURED) == 0
    assert "nobody can say what became of its scores" in caplog.text
