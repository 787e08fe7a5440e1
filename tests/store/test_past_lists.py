"""A rest is not forgotten because its customer was missing from the base for a night."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.contract import arrow_schema
from churn.errors import AuditFailed
from schemas.columns import LogicalType, Table
from schemas.outreach import OUTREACH, STATUSES
from store.claims import Claim, Content, Unit
from store.lake import write_parquet
from store.past_lists import lost, remembered
from store.publication import Publisher, open_publisher
from store.runs import published_runs, shown_run
from store.settings import Settings
from store.tables import publication

FIRST = date(2026, 3, 1)

LISTS = """
night  customer  status        wave_since  unit
1      anna      listed                 1  H1
1      boris     held_out               1  H2
1      clara     no_action              -  -
2      boris     held_out               1  H2
2      clara     listed                 2  H3
3      boris     cooling_down           1  -
3      david     listed                 3  H4
"""
TOLD_TO_NIGHT_4 = """
customer  status        wave_since  unit
anna      listed                 1  H1
boris     cooling_down           1  H2
clara     listed                 2  H3
david     listed                 3  H4
"""


@pytest.fixture
def publisher(request: pytest.FixtureRequest) -> Publisher:
    """Three nights, each with its list; anna is in the base of the first one alone, clara in that of two."""
    home: Settings = request.getfixturevalue("settings")
    opened = open_publisher(home)
    for night in ("1", "2", "3"):
        _publish(opened, _day(night), [row for row in _rows(LISTS) if row["night"] == night])
    return opened


def test_the_newest_list_that_has_a_customer_in_a_wave_says_since_when(publisher: Publisher) -> None:
    told = _told(publisher, "3", since=FIRST - timedelta(30))
    assert told == [
        (row["customer"], row["status"], _day(row["wave_since"]), row["unit"]) for row in _rows(TOLD_TO_NIGHT_4)
    ]


def test_nothing_is_told_of_waves_that_are_over_too_long(publisher: Publisher) -> None:
    assert _told(publisher, "3", since=_day("1")) == [
        ("clara", "listed", _day("2"), "H3"),
        ("david", "listed", _day("3"), "H4"),
    ]


def test_what_was_not_there_when_a_list_was_made_is_not_behind_it(publisher: Publisher) -> None:
    late = {"night": "2", "customer": "elif", "status": "listed", "wave_since": "2", "unit": "H5"}
    _publish(publisher, _day("2"), [late])
    assert "elif" not in [customer for customer, *_ in _told(publisher, "3", since=FIRST - timedelta(30))]


def test_a_list_that_lost_its_files_is_named_with_what_writes_them_again(publisher: Publisher) -> None:
    lost_its_files = publisher.published("telco", "outreach", _day("2"))
    assert lost_its_files is not None
    shutil.rmtree(lost_its_files.folder)
    with pytest.raises(AuditFailed, match=rf"(?s){lost_its_files.run_id}.*verify --rebuild files"):
        _told(publisher, "3", since=FIRST - timedelta(30))


@given(gone=st.sets(st.integers(0, 3)), since=st.integers(0, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_told_is_whole_or_the_lists_that_are_kept_no_longer_are_named(
    publisher: Publisher, gone: set[int], since: int
) -> None:
    """The list of the second night was published twice; the first of the two is behind nobody any more."""
    runs = [run for run in published_runs(publisher) if run.unit.as_of < _day("3")]
    if len(runs) == 2:
        _publish(publisher, _day("2"), [row | {"status": "listed"} for row in _rows(LISTS) if row["night"] == "2"])
        _publish(publisher, _day("3"), [row | {"wave_since": "3"} for row in _rows(LISTS) if row["night"] == "3"])
        runs = [run for run in published_runs(publisher) if run.unit.as_of < _day("3")]
    last = FIRST + timedelta(since - 1)
    before = shown_run(publisher, "telco", "outreach", _day("3"))
    assert before is not None
    whole = _told(publisher, "3", since=last)
    with _retired(publisher, [run.run_id for place, run in enumerate(runs) if place in gone]):
        named, told = lost(publisher, before, last), _told(publisher, "3", since=last)
    assert named or told == whole
    assert set(named) <= {run.unit.as_of for place, run in enumerate(runs) if place in gone}
    assert all(as_of > last for as_of in named)


@contextmanager
def _retired(publisher: Publisher, run_ids: list[str]) -> Iterator[None]:
    """As if retention had taken the runs out of sight."""
    theirs = publication.c.run_id.in_(run_ids)
    with publisher.engine.begin() as connection:
        kept = {row.run_id: row.folder for row in connection.execute(sa.select(publication).where(theirs))}
        connection.execute(sa.update(publication).where(theirs).values(folder=None))
    yield
    with publisher.engine.begin() as connection:
        for run_id, folder in kept.items():
            connection.execute(sa.update(publication).where(publication.c.run_id == run_id).values(folder=folder))


def _told(publisher: Publisher, night: str, *, since: date) -> list[tuple[str, ...]]:
    before = publisher.published("telco", "outreach", _day(night))
    assert before is not None
    rows = remembered(publisher, before.run_id, since, threads=2).sort_by("customer_id").to_pylist()
    return [tuple(row.values()) for row in rows]


def _publish(publisher: Publisher, as_of: date, rows: list[dict[str, str]]) -> None:
    unit = Unit("telco", "outreach", as_of, datetime.combine(as_of, time()))
    claim = publisher.claim(unit, Content(str(rows), "e"))
    assert isinstance(claim, Claim)
    folder = publisher.stage(claim)
    write_parquet(_filled(STATUSES, as_of, rows), folder / STATUSES.name / "bucket=00.parquet")
    write_parquet(_filled(OUTREACH, as_of, rows), folder / OUTREACH.name / "list.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


def _filled(table: Table, as_of: date, rows: list[dict[str, str]]) -> pa.Table:
    """The rows with what they say, and something ordinary in all other columns."""
    ordinary = {LogicalType.STRING: "word", LogicalType.NUMBER: 0.5, LogicalType.INTEGER: 1, LogicalType.DATE: as_of}
    columns = {column.name: [ordinary[column.logical_type]] * len(rows) for column in table.columns}
    columns["customer_id"] = [row["customer"] for row in rows]
    if table is STATUSES:
        columns |= {"status": [row["status"] for row in rows], "wave_since": [_day(row["wave_since"]) for row in rows]}
        columns["unit"] = [None if row["unit"] == "-" else row["unit"] for row in rows]
    return pa.table(columns, schema=arrow_schema(table))


def _rows(text: str) -> list[dict[str, str]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def _day(night: str) -> date | None:
    return None if night == "-" else FIRST + timedelta(int(night))
