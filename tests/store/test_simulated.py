"""A simulation is written whole or not at all, and reads the same from every kind of source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.errors import RequestError, SourceUnreachable
from churn.simulator import SCHEMAS, SOURCE_SCHEMAS, Simulation, blocks
from store.settings import Settings
from store.simulated import Block, default_truth, write_simulation

SIMULATION = Simulation(11_000, 2)


@pytest.fixture(scope="module")
def drawn() -> list[Block]:
    return list(blocks(SIMULATION))


@pytest.fixture(scope="module")
def expected(drawn: list[Block]) -> dict[str, pa.Table]:
    return {name: pa.concat_tables([block[name] for block in drawn]).combine_chunks() for name in SCHEMAS}


def test_a_folder_holds_a_file_for_each_table(
    drawn: list[Block], expected: dict[str, pa.Table], tmp_path: Path
) -> None:
    rows = write_simulation(drawn, str(tmp_path / "telco"), tmp_path / "truth")
    for name in SOURCE_SCHEMAS:
        assert pq.read_table(tmp_path / "telco" / f"{name}.parquet").equals(expected[name])
    assert rows == {name: len(table) for name, table in expected.items()}


def test_the_truth_is_apart_from_the_source(drawn: list[Block], expected: dict[str, pa.Table], tmp_path: Path) -> None:
    write_simulation(drawn, f"sqlite:///{tmp_path / 'telco.db'}", tmp_path / "telco-truth")
    assert pq.read_table(tmp_path / "telco-truth" / "truth.parquet").equals(expected["truth"])
    assert _sqlite(tmp_path / "telco.db", "SELECT name FROM sqlite_master ORDER BY name")["name"].to_pylist() == sorted(
        SOURCE_SCHEMAS
    )


def test_sqlite_holds_the_same_rows_with_dates_as_iso_text(
    drawn: list[Block], expected: dict[str, pa.Table], tmp_path: Path
) -> None:
    write_simulation(drawn, f"sqlite:///{tmp_path / 'telco.db'}", tmp_path / "truth")
    for name, schema in SOURCE_SCHEMAS.items():
        assert _sqlite(tmp_path / "telco.db", f'SELECT * FROM "{name}"').cast(schema).equals(expected[name]), name
    (day,) = _sqlite(tmp_path / "telco.db", "SELECT min(month) AS day FROM usage_monthly")["day"].to_pylist()
    assert day == "2024-01-01"


def test_the_same_seed_gives_the_same_database_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_simulation(blocks(SIMULATION), f"sqlite:///{tmp_path / name}", tmp_path / f"{name}-truth")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one-truth/truth.parquet").read_bytes() == (tmp_path / "two-truth/truth.parquet").read_bytes()


def test_postgres_holds_the_same_rows_with_their_types(
    drawn: list[Block], expected: dict[str, pa.Table], postgres_url: str, tmp_path: Path
) -> None:
    for _ in range(2):  # the second time it replaces the first
        write_simulation(drawn, postgres_url, tmp_path / "truth")
    for name, schema in SOURCE_SCHEMAS.items():
        assert _postgres(postgres_url, f'SELECT * FROM "{name}"').cast(schema).equals(expected[name]), name
    types = _postgres(
        postgres_url,
        "SELECT DISTINCT data_type::text AS type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name IN ('recorded_at', 'month', 'is_complaint')",
    )
    assert set(types["type"].to_pylist()) == {"timestamp without time zone", "date", "boolean"}


def test_postgres_keeps_what_it_had_when_a_simulation_fails(
    drawn: list[Block], postgres_url: str, tmp_path: Path
) -> None:
    write_simulation(drawn, postgres_url, tmp_path / "truth")
    with pytest.raises(ZeroDivisionError):
        write_simulation(_killed(drawn), postgres_url, tmp_path / "truth")
    (rows,) = _postgres(postgres_url, "SELECT count(*) AS rows FROM customers")["rows"].to_pylist()
    assert rows == sum(len(block["customers"]) for block in drawn)


@pytest.mark.parametrize("target", ["telco", "sqlite:///{}/telco.db"])
def test_files_stay_as_they_were_when_a_simulation_fails(drawn: list[Block], tmp_path: Path, target: str) -> None:
    to = target.format(tmp_path) if "://" in target else str(tmp_path / target)
    with pytest.raises(ZeroDivisionError):
        write_simulation(_killed(drawn), to, tmp_path / "truth")
    assert not list(tmp_path.iterdir())
    write_simulation(drawn, to, tmp_path / "truth")
    before = _contents(tmp_path)
    with pytest.raises(ZeroDivisionError):
        write_simulation(_killed(drawn), to, tmp_path / "truth")
    assert _contents(tmp_path) == before


def test_a_newer_simulation_replaces_an_older_one(drawn: list[Block], tmp_path: Path) -> None:
    write_simulation(drawn, str(tmp_path / "telco"), tmp_path / "truth")
    write_simulation(drawn[:1], str(tmp_path / "telco"), tmp_path / "truth")
    assert pq.read_table(tmp_path / "telco" / "customers.parquet").equals(drawn[0]["customers"])
    assert {path.name for path in tmp_path.iterdir()} == {"telco", "truth"}


def test_each_block_is_reported(drawn: list[Block], tmp_path: Path) -> None:
    reports: list[int] = []
    write_simulation(drawn, str(tmp_path / "telco"), tmp_path / "truth", lambda: reports.append(1))
    assert len(reports) == len(drawn) == 2


@pytest.mark.parametrize("to", ["mysql://me:secret@host/telco", "sqlite://", "://", "sqlite:nowhere://"])
def test_a_url_of_another_kind_is_refused_and_its_password_not_told(to: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--to") as refusal:
        write_simulation([], to, tmp_path / "truth")
    assert "secret" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1") as refusal:
        write_simulation([], "postgresql+psycopg://me:secret@127.0.0.1:1/telco", tmp_path / "truth")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("to", "truth"),
    [
        ("sqlite:///data/source/telco.db", "data/source/telco-truth"),
        ("data/telco/", "data/telco-truth"),
    ],
)
def test_the_truth_lies_beside_the_source(settings: Settings, to: str, truth: str) -> None:
    assert default_truth(to, settings) == Path(truth)


def test_the_truth_of_a_server_lies_in_the_data_folder(settings: Settings) -> None:
    assert default_truth("postgresql+psycopg://host/telco", settings) == settings.data / "telco-truth"


def _killed(drawn: list[Block]) -> Iterator[Block]:
    yield drawn[0]
    raise ZeroDivisionError


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _sqlite(path: Path, query: str) -> pa.Table:
    with adbc_driver_sqlite.dbapi.connect(str(path)) as connection, connection.cursor() as cursor:
        # The driver guesses types from the first batch, in which a rarely filled column may be all null.
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "1000000"})
        cursor.execute(query)
        return cursor.fetch_arrow_table()


def _postgres(url: str, query: str) -> pa.Table:
    uri = url.replace("postgresql+psycopg", "postgresql")
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()
