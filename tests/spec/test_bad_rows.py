"""Which rows leave the night, by which rule: a table to read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.quarantine import quarantine_sql, without_quarantined
from store.lake import duck
from tests.quality_contract import CONTRACT, GOOD, WITH_SURROGATE_KEY, customers, write_bucket

NAN, INFINITE = float("nan"), float("inf")

# what the customer's row has              -> rule,       value  (None: the row stays)
ONE_BAD_VALUE = [
    ({}, None),
    ({"minutes": None}, ("not_null", None)),
    ({"minutes": -1.0}, ("between", "-1.0")),
    ({"minutes": 0.0}, None),
    ({"minutes": 44_640.0}, None),
    ({"minutes": 2_678_400.0}, ("between", "2678400.0")),
    ({"minutes": NAN}, ("between", "nan")),
    ({"minutes": INFINITE}, ("between", "inf")),
    ({"trend": None}, None),
    ({"trend": -1e300}, None),
    ({"trend": NAN}, ("between", "nan")),
    ({"trend": -INFINITE}, ("between", "-inf")),
    ({"tickets": -1}, ("between", "-1")),
    ({"region": "west"}, ("among", "west")),
    ({"region": None}, None),
    ({"plan": "XXL"}, None),  # the contract says: score it as unseen
    ({"plan": "it's L"}, None),
    ({"plan": None}, ("not_null", None)),
    ({"lines": 4}, ("among", "4")),
]


@pytest.mark.parametrize(("change", "expected"), ONE_BAD_VALUE)
def test_a_row_leaves_the_night_when_the_contract_says_so(
    tmp_path: Path, change: dict[str, object], expected: tuple[str, str | None] | None
) -> None:
    found = quarantined(tmp_path, [GOOD | change])
    column = next(iter(change), "")
    assert [(row["column"], row["rule"], row["value"]) for row in found] == ([(column, *expected)] if expected else [])


def test_a_row_that_breaks_two_rules_is_named_by_both(tmp_path: Path) -> None:
    found = quarantined(tmp_path, [*customers(1), GOOD | {"customer_id": "bad", "minutes": -1.0, "region": "west"}])
    assert [(row["key"], row["row"], row["column"]) for row in found] == [("bad", 1, "minutes"), ("bad", 1, "region")]


def test_of_rows_that_share_a_key_one_stays_and_it_is_the_same_in_any_order(tmp_path: Path) -> None:
    twins = [GOOD | {"customer_id": "twin", "minutes": minutes} for minutes in (30.0, 10.0, 20.0)]
    assert kept_minutes(tmp_path, twins) == kept_minutes(tmp_path, twins[::-1]) == [10.0]


def test_of_exact_duplicates_one_stays_also_across_buckets(tmp_path: Path) -> None:
    files = [write_bucket(tmp_path, [GOOD, GOOD], 0), write_bucket(tmp_path, [GOOD], 1)]
    with duck() as connection:
        found = connection.sql(quarantine_sql(WITH_SURROGATE_KEY, files)).to_arrow_table().to_pylist()
    assert [(row["file"], row["row"]) for row in found] == [("bucket=00.parquet", 1), ("bucket=01.parquet", 0)]


def test_names_and_values_with_quotes_are_only_names_and_values(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    assert quarantined(folder, [GOOD | {"region": "'; DROP TABLE snapshot; --"}])[0]["rule"] == "among"


def quarantined(folder: Path, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return quarantine_of(write_bucket(folder, rows)).to_pylist()


def quarantine_of(file: str) -> pa.Table:
    with duck() as connection:
        return connection.sql(quarantine_sql(CONTRACT, [file])).to_arrow_table()


def kept_minutes(folder: Path, rows: list[dict[str, object]]) -> list[float]:
    file = write_bucket(folder, rows)
    kept = without_quarantined(pq.read_table(file, partitioning=None), quarantine_of(file), "bucket=00.parquet")
    return kept["minutes"].to_pylist()
