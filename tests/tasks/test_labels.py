"""Lessons say who was called while their labels came, by the lists and the contacts that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.interventions import Intervention
from store.contracts import read_contract
from store.interventions import record
from store.lake import write_parquet
from store.publication import open_publisher
from store.settings import current_settings
from tasks.labels import lessons_of, say_who_was_called
from tasks.lift import keep_waves
from tasks.night import Course, Night
from tests.contacts import contact
from tests.end_to_end.nights import living_in
from tests.waves import publish_wave

JULY = date(2024, 7, 1)
COURSE = Course("scorecard", "default")


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A night of a home in which a list of July is published: two of its twenty are held out."""
    with living_in(tmp_path):
        publish_wave(open_publisher(current_settings()), date(2024, 7, 5), listed=list(range(18)), held_out=[18, 19])
        yield Night(
            contract="telco",
            base="telco",
            as_of=date(2024, 9, 1),
            known_at=datetime(2024, 9, 1),  # noqa: DTZ001  a night's moment is of the business zone
            extract=tmp_path,
            extract_digest="e",
            snapshot=tmp_path / "snapshot",
            buckets=4,
        )


def lesson(folder: Path, as_of: date) -> Path:
    path = folder / f"{as_of}.parquet"
    names = [f"C{number:02d}" for number in range(100)]
    write_parquet(pa.table({"customer_id": names, "as_of": pa.array([as_of] * 100, pa.date32())}), path)
    return path


def test_lessons_know_the_listed_and_the_held_out_of_lists_within_their_horizon(night: Night, tmp_path: Path) -> None:
    lessons = [lesson(tmp_path, as_of) for as_of in (date(2024, 6, 1), JULY)]
    course = say_who_was_called.fn(night, keep_waves.fn("telco"), lessons, COURSE)
    rows = lessons_of(lessons, read_contract("telco"), course).to_pylist()
    june, july = ([row for row in rows if row["as_of"] == each] for each in (date(2024, 6, 1), JULY))
    assert {row["wave_arm"] for row in june} == {None}
    assert [row["wave_arm"] for row in july] == ["listed"] * 18 + ["held_out"] * 2 + [None] * 80
    assert {row["wave_share"] for row in july[:20]} == {0.02}, "the policy of the telecom holds one in fifty out"
    assert {row["wave_policy"] for row in july[20:]} == {None}


def test_a_contact_that_is_written_down_after_the_nights_moment_is_not_known(night: Night, tmp_path: Path) -> None:
    called: Intervention = contact(date(2024, 7, 10), customer_id="C50")
    record(current_settings(), [called])
    lessons = [lesson(tmp_path, JULY)]
    course = say_who_was_called.fn(night, keep_waves.fn("telco"), lessons, COURSE)
    assert lessons_of(lessons, read_contract("telco"), course)["wave_arm"][50].as_py() is None
    later = replace(night, known_at=datetime(2100, 1, 1))  # noqa: DTZ001
    course = say_who_was_called.fn(later, keep_waves.fn("telco"), lessons, COURSE)
    assert lessons_of(lessons, read_contract("telco"), course)["wave_arm"][50].as_py() == "contacted"


def test_without_lists_a_course_knows_that_nobody_was_called(night: Night, tmp_path: Path) -> None:
    lessons = [lesson(tmp_path, JULY)]
    course = say_who_was_called.fn(night, (), lessons, COURSE)
    assert lessons_of(lessons, read_contract("telco"), course)["wave_arm"].null_count == 100
