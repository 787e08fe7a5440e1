"""Whatever a source is, its rows come in as the contract promises them, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from churn.buckets import bucket_of
from churn.errors import SourceEmpty, SourceMismatch, SourceUnreachable
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract
from store import lake
from store.settings import Settings
from store.source import Extract, extract, read_extract

CUSTOMERS = Table(
    "customers",
    "Customers",
    (
        Column("customer_id", LogicalType.STRING, "Key", roles=(Role.KEY,), required=True),
        Column("joined_on", LogicalType.DATE, "First day"),
        Column("consent", LogicalType.BOOLEAN, "Consent"),
        Column("recorded_at", LogicalType.TIMESTAMP, "Arrival"),
    ),
    ("customer_id",),
)
USAGE = Table(
    "usage",
    "Usage",
    (
        Column("customer_id", LogicalType.STRING, "Key", roles=(Role.KEY,), required=True),
        Column("month", LogicalType.DATE, "Month"),
        Column("gb", LogicalType.NUMBER, "Data", physical_name="data GB"),
        Column("sms", LogicalType.INTEGER, "Messages"),
        Column("recorded_at", LogicalType.TIMESTAMP, "Arrival"),
    ),
    ("customer_id", "month"),
)
TWO_TABLES = Contract("two", "1", "d" * 64, "", (CUSTOMERS, USAGE), CUSTOMERS, flat=False)

FLAT = Table(
    "customers",
    "Customers",
    (
        Column("customer_id", LogicalType.STRING, "Key", physical_name="customer ID", roles=(Role.KEY,)),
        Column("charge", LogicalType.NUMBER, "Charge", physical_name="Charge  Amount"),
        Column("churned", LogicalType.INTEGER, "Left", physical_name="Churn", roles=(Role.LABEL,)),
    ),
    ("customer_id",),
)
ONE_TABLE = Contract("one", "1", "d" * 64, "", (FLAT,), FLAT, flat=True)

MONTHS = 30
NEWEST = datetime.fromisoformat("2026-02-01T10:30:00")
Rows = dict[str, pa.Table]
Source = Callable[[Rows], str]


def rows(customers: int = 500) -> Rows:
    """Customers with their months; the newest fact of all was recorded at NEWEST, and no usage has gb at first."""
    ids = [f"C{n:05d}" for n in range(customers)]
    moments = [datetime.fromisoformat("2026-01-31T23:00:00")] * (customers - 1) + [NEWEST]
    months = customers * MONTHS
    return {
        "customers": pa.table(
            {
                "customer_id": ids,
                "joined_on": pa.array([date(2025, 1 + n % 12, 1) for n in range(customers)]),
                "consent": [n % 3 == 0 for n in range(customers)],
                "recorded_at": pa.array(moments, pa.timestamp("us")),
            }
        ),
        "usage": pa.table(
            {
                "customer_id": [ids[n // MONTHS] for n in range(months)],
                "month": pa.array([date(2023 + n % MONTHS // 12, 1 + n % MONTHS % 12, 1) for n in range(months)]),
                "data GB": [None if n < 8_000 else n / 8 for n in range(months)],
                "sms": [None if n % 5 else n for n in range(months)],
                "recorded_at": pa.array([moments[0]] * months, pa.timestamp("us")),
            }
        ),
    }


def in_database(url: str, tables: Rows, types: dict[str, str]) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        for name, table in tables.items():
            columns = ", ".join(f'"{field.name}" {types[str(field.type)]}' for field in table.schema)
            connection.execute(text(f'CREATE TABLE "{name}" ({columns})'))
            marks = ", ".join(f":c{n}" for n in range(table.num_columns))
            values = zip(*(column.to_pylist() for column in table.columns), strict=True)
            dicts = [{f"c{n}": value for n, value in enumerate(row)} for row in values]
            if dicts:
                connection.execute(text(f'INSERT INTO "{name}" VALUES ({marks})'), dicts)
    engine.dispose()
    return url


def in_sqlite(path: Path, tables: Rows) -> str:
    """SQLite as the simulator fills it: text for dates and moments, 0 and 1 for yes and no."""
    plain = {
        name: pa.table([_plain(column) for column in table.columns], table.column_names)
        for name, table in tables.items()
    }
    return in_database(
        f"sqlite:///{path}", plain, {"string": "TEXT", "int64": "INTEGER", "double": "REAL", "null": "REAL"}
    )


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int64())
    if pa.types.is_temporal(values.type):
        return pc.strftime(values, "%Y-%m-%d" if pa.types.is_date(values.type) else "%Y-%m-%d %H:%M:%S")
    return values


def in_postgres(url: str, tables: Rows) -> str:
    kinds = {
        "string": "text",
        "int64": "bigint",
        "double": "numeric",
        "bool": "boolean",
        "date32[day]": "date",
        "timestamp[us]": "timestamp",
    }
    return in_database(url, tables, kinds)


def in_folder(path: Path, tables: Rows) -> str:
    path.mkdir()
    for name, table in tables.items():
        pq.write_table(table, path / f"{name}.parquet", row_group_size=1234)
    return str(path)


@pytest.fixture(params=["sqlite", "sqlite+pysqlite", "parquet", pytest.param("postgres", marks=pytest.mark.postgres)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Puts rows into a source of each kind and gives its name."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        return lambda tables: in_postgres(url, tables)
    if request.param == "parquet":
        return lambda tables: in_folder(tmp_path / "source", tables)
    return lambda tables: in_sqlite(tmp_path / "source.db", tables).replace("sqlite", request.param)


def table_of(taken: Extract, name: str) -> pa.Table:
    return lake.read_parquet(sorted((taken.folder / name).iterdir()))


def test_every_kind_of_source_gives_the_same_rows(source: Source, settings: Settings) -> None:
    given = rows()
    taken = extract(TWO_TABLES, source(given), settings)
    assert taken.rows == {"customers": 500, "usage": 15_000}
    assert taken.newest == NEWEST
    assert table_of(taken, "customers").sort_by("customer_id").equals(given["customers"])
    usage = table_of(taken, "usage").sort_by([("customer_id", "ascending"), ("month", "ascending")])
    assert usage.equals(given["usage"].rename_columns(USAGE.names))


@pytest.mark.postgres
def test_the_same_rows_have_the_same_digest_wherever_they_come_from(
    postgres_url: str, tmp_path: Path, settings: Settings
) -> None:
    given = rows()
    names = [in_sqlite(tmp_path / "a.db", given), in_postgres(postgres_url, given), in_folder(tmp_path / "p", given)]
    assert len({extract(TWO_TABLES, name, settings).digest for name in names}) == 1


def test_the_same_source_again_gives_the_same_folder_and_no_second_copy(source: Source, settings: Settings) -> None:
    name = source(rows())
    first = extract(TWO_TABLES, name, settings)
    assert extract(TWO_TABLES, name, settings) == first == read_extract(first.folder)
    assert len(list(first.folder.parent.iterdir())) == 1
    assert list((settings.lake / "staging").iterdir()) == []


def test_one_changed_value_gives_another_digest(tmp_path: Path, settings: Settings) -> None:
    first = extract(TWO_TABLES, in_sqlite(tmp_path / "source.db", rows()), settings)
    change(tmp_path / "source.db", "UPDATE usage SET sms = 6 WHERE customer_id = 'C00007' AND month = '2024-03-01'")
    assert extract(TWO_TABLES, f"sqlite:///{tmp_path / 'source.db'}", settings).digest != first.digest


def test_all_rows_of_a_customer_are_in_his_bucket_and_every_bucket_has_a_file(
    tmp_path: Path, settings: Settings
) -> None:
    taken = extract(TWO_TABLES, in_sqlite(tmp_path / "source.db", rows(2)), settings)
    for table in ("customers", "usage"):
        for bucket in range(settings.buckets):
            keys = pq.read_table(taken.folder / table / lake.bucket_file(bucket))["customer_id"]
            assert set(bucket_of(keys, settings.buckets).tolist()) <= {bucket}
    assert lake.differences(lake.read_manifest(taken.folder), taken.folder) == []


def test_the_digest_does_not_depend_on_the_order_or_the_blocks_in_which_rows_come(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows()
    shuffled = {name: table.take(pa.array(range(len(table) - 1, -1, -1))) for name, table in given.items()}
    first = extract(TWO_TABLES, in_sqlite(tmp_path / "a.db", given), settings)
    monkeypatch.setattr("store.database_readers._BLOCK_ROWS", 77)
    assert extract(TWO_TABLES, in_sqlite(tmp_path / "b.db", shuffled), settings).digest == first.digest


def test_a_text_among_the_numbers_of_sqlite_is_named_with_its_customer(tmp_path: Path, settings: Settings) -> None:
    name = in_sqlite(tmp_path / "source.db", rows())
    change(tmp_path / "source.db", "UPDATE usage SET \"data GB\" = 'lots' WHERE customer_id = 'C00499'")
    with pytest.raises(SourceMismatch, match=r"data GB: 30 of 15000 .*'lots' \(C00499\)"):
        extract(TWO_TABLES, name, settings)
    assert not (settings.lake / "extracts").exists()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_csv_with_a_mark_blanks_and_quoted_lines_comes_in(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "base.csv"
    path.write_bytes(b'\xef\xbb\xbfChurn,customer ID,Charge  Amount\r\nYes,"C\n1",29.85\r\nNo,C2, \r\n')
    taken = table_of(extract(ONE_TABLE, str(path), settings), "customers").sort_by("charge").to_pylist()
    assert taken == [
        {"customer_id": "C\n1", "charge": 29.85, "churned": 1},
        {"customer_id": "C2", "charge": None, "churned": 0},
    ]


def test_a_row_without_a_key_gets_one_that_its_duplicates_share(tmp_path: Path, settings: Settings) -> None:
    key = replace(FLAT.columns[0], physical_name="", derived=True)
    table = replace(FLAT, columns=(key, *FLAT.columns[1:]))
    contract = replace(ONE_TABLE, sources=(table,), customer=table, surrogate_key=True)
    path = tmp_path / "base.csv"
    path.write_text("Charge  Amount,Churn\n1.5,0\n2.5,1\n1.5,0\n")
    keys = table_of(extract(contract, str(path), settings), "customers")["customer_id"].to_pylist()
    assert sorted(map(len, keys)) == [16, 16, 16]
    assert len(set(keys)) == 2


HEADER = "customer ID,Charge  Amount,Churn\n"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", SourceEmpty, "the file is empty"),
        (HEADER, SourceEmpty, "table customers: the table has no rows"),
        ("customer ID,Charge Amount,Churn\nC1,2,No\n", SourceMismatch, "probably renamed to Charge Amount"),
        ("customer ID,Churn\nC1,No\n", SourceMismatch, "missing: Charge  Amount"),
        (HEADER.replace("Churn", "Churn,age") + "C1,2,No,9\n", SourceMismatch, "not in the contract: age"),
        (HEADER + "C1,much,No\nC2,3,No\n", SourceMismatch, r"Charge  Amount: 1 of 2 .*'much' \(C1\)"),
        (HEADER + "C1,2\n", SourceMismatch, "Expected 3 columns, got 2"),
        (HEADER + "C\xff1,2,No\n", SourceMismatch, "UTF8"),
    ],
)
def test_a_wrong_csv_is_refused_by_what_is_wrong_and_nothing_is_kept(
    content: str, error: type[Exception], message: str, tmp_path: Path, settings: Settings
) -> None:
    path = tmp_path / "base.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(error, match=message):
        extract(ONE_TABLE, str(path), settings)
    assert not (settings.lake / "extracts").exists()
    assert not list((settings.lake / "staging").glob("*"))


def test_an_empty_table_is_named(source: Source, settings: Settings) -> None:
    given = rows()
    with pytest.raises(SourceEmpty, match="table usage: the table has no rows"):
        extract(TWO_TABLES, source(given | {"usage": given["usage"][:0]}), settings)


def test_a_missing_table_is_named_with_those_that_are_there(source: Source, settings: Settings) -> None:
    with pytest.raises(SourceMismatch, match=r"table usage is missing: the (database|folder) holds customers"):
        extract(TWO_TABLES, source({"customers": rows()["customers"]}), settings)


def test_one_file_for_several_tables_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "base.csv"
    path.write_text("customer_id\nC1\n")
    with pytest.raises(SourceMismatch, match="one file holds one table, and the contract two has 2: customers, usage"):
        extract(TWO_TABLES, str(path), settings)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.csv", "no such file or folder"),
        ("sqlite:///nowhere.db", "no such file"),
        ("sqlite:///pyproject.toml", "not a database"),
        ("pyproject.toml", "a .toml file cannot be read"),
        ("oracle://reader:s3cret@db/base", "."),
        ("cobol://reader:s3cret@db/base", "no driver"),
        ("postgresql://reader:s3cret@127.0.0.1:1/base?password=s3cret", "refused"),
        ("no kind of://reader:s3cret@db", "cannot be read as one"),
    ],
)
def test_a_source_that_cannot_be_read_says_why_and_never_the_password(
    name: str, reason: str, settings: Settings
) -> None:
    with pytest.raises(SourceUnreachable, match=reason) as caught:
        extract(ONE_TABLE, name, settings)
    assert "s3cret" not in str(caught.value)


def test_each_block_is_heard_of(tmp_path: Path, settings: Settings) -> None:
    heard: list[tuple[str, int]] = []
    extract(TWO_TABLES, in_sqlite(tmp_path / "source.db", rows()), settings, lambda *block: heard.append(block))
    assert heard == [("customers", 500), ("usage", 15_000)]
