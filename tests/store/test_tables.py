"""The database's tables hold what the schemas say, and take Arrow rows in as they are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from schemas.columns import Column, LogicalType, Table
from schemas.scores import SCORES
from store import tables
from store.loading import loader
from store.structure import create_all
from store.tables import alone, engine_for, metadata, publication, published_table, scores

EVERY_TYPE = Table(
    "every_type",
    "One column of each type",
    (
        Column("customer_id", LogicalType.STRING, "Text", required=True),
        Column("count", LogicalType.INTEGER, "Whole", unit="calls"),
        Column("share", LogicalType.NUMBER, "Decimal"),
        Column("consents", LogicalType.BOOLEAN, "Yes or no"),
        Column("day", LogicalType.DATE, "Day"),
        Column("moment", LogicalType.TIMESTAMP, "Moment"),
    ),
    ("customer_id",),
)
ROWS = [
    ("C1", 3, 0.1, True, date(2026, 1, 31), datetime.fromisoformat("2026-01-31T23:00:00.000001")),
    ("C2", None, None, None, None, None),
    ("Ünï'c;ödé", -(2**62), 1e300, False, date(1999, 12, 31), datetime.fromisoformat("2026-01-31T00:00:00")),
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = engine_for(database_url)
    yield engine
    engine.dispose()


def test_several_processes_may_create_the_tables_at_once(engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: create_all(engine), range(4)))
    assert "scores" in sa.inspect(engine).get_table_names()


def test_the_score_table_has_the_schemas_columns_behind_the_fence() -> None:
    assert scores.columns.keys() == ["fence", *SCORES.names]
    assert [column.name for column in scores.columns if not column.nullable] == [
        "fence",
        *(column.name for column in SCORES.columns if column.required),
    ]


def test_arrow_rows_come_back_as_the_same_values(engine: Engine) -> None:
    table = every_type(engine)
    columns = dict(zip(EVERY_TYPE.names, zip(*ROWS, strict=True), strict=True))
    rows = pa.table(columns).append_column("fence", pa.array([7] * 3))
    rows = rows.set_column(0, "customer_id", rows["customer_id"].dictionary_encode())
    with loader(engine) as load:
        load.append("every_type", rows)
        load.commit()
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by("customer_id")).all()
    assert [tuple(row) for row in found] == [(7, *row) for row in ROWS]


def test_rows_that_were_not_committed_are_undone(engine: Engine) -> None:
    table = every_type(engine)
    with loader(engine) as load:
        load.append("every_type", pa.table({"fence": [1], "customer_id": ["C1"]}))
        assert load.holds(sa.select(table).where(table.c.customer_id == "C1"))
    with engine.connect() as connection:
        assert connection.execute(sa.select(table)).all() == []


def every_type(engine: Engine) -> sa.Table:
    """The table, in the database; in PostgreSQL one partition takes the rows of all runs."""
    table = published_table(EVERY_TYPE)
    metadata.remove(table)
    table.create(engine)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE every_run PARTITION OF every_type DEFAULT")
    return table


def test_sqlite_keeps_a_journal_that_readers_can_pass_and_syncs_each_commit(tmp_path: object) -> None:
    engine = engine_for(f"sqlite:///{tmp_path}/deep/down/churn.db")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}


def test_two_runs_cannot_be_in_flight_for_one_night(engine: Engine) -> None:
    create_all(engine)
    run = {
        "contract": "telco",
        "kind": "scores",
        "as_of": date(2026, 1, 1),
        "known_at": datetime.fromisoformat("2026-01-01T00:00:00"),
        "content_key": "k",
        "extract_digest": "e",
        "claimed_at": datetime.fromisoformat("2026-01-01T04:00:00"),
        "lease_until": datetime.fromisoformat("2026-01-01T04:10:00"),
    }
    insert = sa.insert(publication)
    with engine.begin() as connection:
        connection.execute(insert, run | {"run_id": "a", "fence": 1, "state": "abandoned"})
        connection.execute(insert, run | {"run_id": "b", "fence": 2, "state": "staged"})
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(insert, run | {"run_id": "c", "fence": 3, "state": "claimed"})


@pytest.mark.postgres
def test_a_process_that_stands_still_alone_does_not_keep_the_others_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "IDLE_SECONDS", 1)
    engine = engine_for(postgres_url)
    with pytest.raises(sa.exc.DBAPIError, match="idle-in-transaction"), alone(engine), alone(engine) as other:
        held = other.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"))
    assert held == 1
