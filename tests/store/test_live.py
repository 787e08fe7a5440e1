"""A customer asked for alone is the one that the night saw, as long as nothing else is known of him."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from churn.errors import SourceMismatch, SourceUnreachable
from schemas.columns import Table
from store.lake import bucket_file, read_parquet
from store.live import Kept, LiveSource, date_described
from store.snapshots import build_bucket, build_context
from store.tables import column_of
from tests.small_telecom import BUCKETS, moment, telco, write_extract

NIGHT = moment("2026-01-01")
LATER = datetime.fromisoformat("2026-01-09")
CUSTOMERS = [f"C{number:02d}" for number in range(12)]


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    """Twelve customers in households and regions, with usage, tickets and payments, some of it corrected."""
    return write_extract(
        tmp_path / "extract",
        customers="customer_id household_id region\n"
        + "\n".join(f"{key} {'?' if key == 'C03' else f'h{key[2]}'} R0{1 + int(key[2]) % 3}" for key in CUSTOMERS),
        contracts="contract_id customer_id ends_on monthly_price\n"
        + "\n".join(f"k{key} {key} {'?' if key > 'C06' else '2026-03-31'} 2{key[2]}.5" for key in CUSTOMERS),
        usage_monthly="customer_id month minutes calls dropped_calls recorded_at\n"
        + "\n".join(f"{key} 2025-{month}-01 0.{key[1:]} 7 1 2026-01-01" for key in CUSTOMERS for month in (11, 12))
        + "\nC01 2025-12-01 99 7 1 2026-01-05",
        tickets="ticket_id customer_id opened_on closed_on is_complaint recorded_at\n"
        "t1 C02 2025-12-20 ? true 2025-12-20\nt1 C02 2025-12-20 2025-12-30 true 2026-01-04",
        payments="payment_id customer_id due_on paid_on\np1 C04 2025-12-01 2025-12-09\np2 C04 2025-11-01 ?",
        churn_events="customer_id churned_on recorded_at\nC00 2025-11-05 2025-11-05\nC05 2025-12-28 2026-01-03",
    )


@pytest.fixture
def kept(extract: Path, tmp_path: Path) -> Kept:
    folder = tmp_path / "snapshot"
    build_context(extract, telco(), NIGHT, folder)
    for bucket in range(BUCKETS):
        build_bucket(extract, telco(), NIGHT, bucket, folder)
    return Kept(folder, telco())


@pytest.fixture
def source(extract: Path, tmp_path: Path) -> LiveSource:
    """The same facts in SQLite, whose dates and moments are text."""
    path = tmp_path / "it's a source.db"
    database = sqlite3.connect(path)
    for table in telco().sources:
        database.execute(f"CREATE TABLE {table.name} ({', '.join(table.names)})")
        places = ", ".join("?" * len(table.names))
        database.executemany(
            f"INSERT INTO {table.name} VALUES ({places})", [_stored(row) for row in facts(extract, table)]
        )
    database.commit()
    database.close()
    return LiveSource(f"sqlite:///{path}", telco())


def facts(extract: Path, table: Table) -> list[dict[str, Any]]:
    return read_parquet([extract / table.name / bucket_file(bucket) for bucket in range(BUCKETS)]).to_pylist()


def _stored(row: Mapping[str, Any]) -> list[Any]:
    return [value.isoformat() if isinstance(value, date) else value for value in row.values()]


def live(source: LiveSource, kept: Kept, customer: str, now: datetime = NIGHT.known_at) -> Mapping[str, Any] | None:
    return source.row(customer, kept, NIGHT.as_of, now)


def test_by_the_nights_own_moment_the_source_tells_of_everybody_what_the_night_knew(source: LiveSource, kept: Kept):
    rows = {customer: kept.row(customer) for customer in CUSTOMERS}
    assert sum(row is not None for row in rows.values()) == len(CUSTOMERS) - 1, "one has left"
    assert {customer: live(source, kept, customer) for customer in CUSTOMERS} == rows
    assert rows["C02"] is not None
    assert rows["C02"]["complaints_open"] == 1


def test_postgresql_tells_what_sqlite_tells(source: LiveSource, kept: Kept, extract: Path, postgres_url: str):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for table in telco().sources:
            made = sa.Table(table.name, sa.MetaData(), *(column_of(column) for column in table.columns))
            made.create(connection)
            if rows := facts(extract, table):
                connection.execute(sa.insert(made), rows)
    engine.dispose()
    on_postgres = LiveSource(postgres_url, telco())
    for customer in CUSTOMERS:
        assert live(on_postgres, kept, customer, LATER) == live(source, kept, customer, LATER)


LATER_KNOWN = [
    # customer  feature                before  after
    ("C02", "complaints_open", 1, 0),  # it was closed, and the news came after the night
    ("C01", "minutes_last_month", 0.01, 99.0),  # a month was corrected
]


@pytest.mark.parametrize(("customer", "feature", "before", "after"), LATER_KNOWN)
def test_what_arrived_since_is_known_now(source: LiveSource, kept: Kept, customer, feature, before, after):
    then, now = kept.row(customer), live(source, kept, customer, LATER)
    assert then is not None
    assert now is not None
    assert (then[feature], now[feature]) == (before, after)


def test_who_has_left_meanwhile_or_never_was_is_nobody(source: LiveSource, kept: Kept):
    assert kept.row("C05") is not None
    assert live(source, kept, "C05", LATER) is None
    for stranger in ("C99", "c01", "C01' OR '1'='1", ""):
        assert kept.row(stranger) is None
        assert live(source, kept, stranger) is None


def test_a_source_that_is_not_there_or_is_read_as_a_whole_is_named_as_such(kept: Kept, tmp_path: Path):
    for url in (f"sqlite:///{tmp_path / 'nowhere.db'}", str(tmp_path), "postgresql://nobody@127.0.0.1:1/none"):
        with pytest.raises(SourceUnreachable):
            live(LiveSource(url, telco()), kept, "C01")
    assert not (tmp_path / "nowhere.db").exists(), "asking makes no database"


def test_a_value_of_another_type_is_named_as_such_and_not_repeated(source: LiveSource, kept: Kept, tmp_path: Path):
    database = sqlite3.connect(tmp_path / "it's a source.db")
    database.execute("UPDATE customers SET joined_on = 'a secret' WHERE customer_id = 'C01'")
    database.commit()
    database.close()
    with pytest.raises(SourceMismatch) as refused:
        live(source, kept, "C01")
    assert "secret" not in str(refused.value)


def test_a_snapshot_that_was_cleared_away_knows_nobody(tmp_path: Path):
    assert Kept(tmp_path / "gone", telco()).row("C01") is None


DATES = [
    # night          today          as of
    ("2026-01-05", "2026-01-05", "2026-01-06"),  # what happened today counts, so it is told as tomorrow would
    ("2026-01-04", "2026-01-05", "2026-01-06"),
    ("2026-01-31", "2026-01-31", "2026-01-31"),  # tomorrow the month's usage would be missing
    ("2026-01-02", "2026-01-05", "2026-01-02"),  # a base that is behind may lack the months since
    ("2024-08-01", "2026-01-05", "2024-08-01"),
]


@pytest.mark.parametrize(("night", "today", "as_of"), DATES)
def test_a_live_row_is_as_of_tomorrow_unless_the_source_may_not_know_so_much(night: str, today: str, as_of: str):
    assert date_described(date.fromisoformat(night), date.fromisoformat(today)) == date.fromisoformat(as_of)
