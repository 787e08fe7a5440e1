"""Once a contract has one more column, or one of another name, what looks back on earlier nights goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import schemas
from store.lake import bucket_file, describe, read_parquet, write_manifest
from store.monitoring import kept_backtest
from store.publication import open_publisher
from store.settings import Settings, current_settings
from store.source import Extract
from tasks import labels, lift, uplift
from tasks.backtest import follow_up
from tasks.monitoring import watch_night
from tasks.night import Course, Night
from tests.end_to_end.nights import living_in
from tests.small_telecom import write_extract
from tests.watched_nights import EXTRACT, REGIONS, customers, publish_night, save_card

FIRST = date(2026, 1, 1)
NEXT = FIRST + timedelta(days=31)
KNOWN_AT = "2026-03-15T00:00"
LEFT = "customer_id  churned_on  recorded_at\n" + "\n".join(
    f"C{number:06d}  {FIRST + timedelta(days=7)}  {FIRST + timedelta(days=7)}" for number in range(0, 4_000, 50)
)
ONE_MORE = """
      - name: pets
        businessName: pets
        description: What lives with the customer.
        logicalType: string
        enum:
          - {value: "cat"}
          - {value: "dog"}
        customProperties:
          - {property: role, value: feature}
"""
CHANGES = {
    "one more": lambda text: text.rstrip("\n") + ONE_MORE,
    "another name": lambda text: text.replace("- name: payment_method", "- name: way_to_pay"),
}


@pytest.fixture(params=CHANGES, scope="module")
def contract(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of the telecom's contract, changed between the two nights of a home."""
    home = tmp_path_factory.mktemp("home")
    with living_in(home):
        publish_both()
        yield changed_contract(home, request.param)


def changed_contract(folder: Path, change: str) -> str:
    shipped = Path(schemas.__path__[0]) / "contracts" / "telco.yaml"
    path = folder / "telco.yaml"
    path.write_text(CHANGES[change](shipped.read_text()))
    return str(path)


def publish_both() -> None:
    """A night by the contract that ships, and one that has the new columns, too."""
    settings, rows = current_settings(), customers()
    digest = save_card(settings)
    keep_extract(settings)
    publish_night(settings, FIRST, rows, digest)
    newer = rows.append_column("pets", pa.array(["cat", "dog"] * 2_000))
    publish_night(settings, NEXT, newer.append_column("way_to_pay", pa.nulls(4_000, pa.string())), digest)


def keep_extract(settings: Settings) -> None:
    folder, newest = open_publisher(settings).lake.extract("telco", EXTRACT), datetime.combine(NEXT, time())
    write_extract(folder, churn_events=LEFT)
    write_manifest(describe(folder, {"contract": "telco", "rows": {}, "newest": newest.isoformat()}), folder)


def test_the_lessons_of_a_training_know_who_was_called(contract: str) -> None:
    waves = lift.keep_waves.fn(contract)
    assert [wave.customers is not None for wave in waves] == [True, True]
    lesson = current_settings().lake / f"{FIRST}.parquet"
    night = Night(contract, "telco", NEXT, datetime.combine(NEXT, time()), Path(), "", Path(), 2)
    course = labels.say_who_was_called.fn(night, waves, [lesson], Course("scorecard", "default"))
    assert course.treated is not None
    assert read_parquet([course.treated]).num_rows > 0


def test_waves_are_measured_and_learnt_from(contract: str) -> None:
    extract = Extract("telco", EXTRACT, open_publisher(current_settings()).lake.extract("telco", EXTRACT), {}, None)
    waves = lift.keep_waves.fn(contract)
    assert lift.measure.fn(contract, waves, extract, KNOWN_AT).waiting == ()
    assert len(uplift.learn.fn(contract, waves, extract, KNOWN_AT)) > 0


def test_the_night_before_is_looked_back_on_and_the_newest_is_watched(contract: str) -> None:
    assert follow_up.fn(contract, NEXT) == 1
    rows = kept_backtest(current_settings(), "telco", FIRST).to_pylist()
    assert {row["value"] for row in rows if row["feature"] == "region"} == set(REGIONS), "the night knew these"
    assert "pets" not in {row["feature"] for row in rows}, "and not these"
    assert watch_night.fn(contract, NEXT).base == "telco"


def test_a_damaged_snapshot_costs_its_wave_the_features_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with living_in(tmp_path), caplog.at_level(logging.WARNING):
        publish_both()
        lake = open_publisher(current_settings()).lake
        file = lake.snapshot("telco", FIRST, datetime.combine(FIRST, time()), EXTRACT) / bucket_file(1)
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:100])
        waves = lift.keep_waves.fn("telco")
    assert [wave.customers is not None for wave in waves] == [False, True]
    assert "its customers cannot be read" in caplog.text
