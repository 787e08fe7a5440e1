"""The snapshot's files: one row per live customer in the contract's columns, the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.contract import arrow_schema
from churn.errors import RequestError, SourceEmpty, TrainingError
from churn.snapshot import TrainingWindow
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract
from store.lake import bucket_file
from store.snapshots import bucket_count, build_bucket, build_context, latest_as_of, training_rows
from tests.small_telecom import BUCKETS, customers_as_of, moment, telco, write_extract

TONIGHT = moment("2026-01-01")


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    """Forty customers, each with a contract and two months of usage, of whom the first left in November."""
    keys = [f"C{number:02d}" for number in reversed(range(40))]
    return write_extract(
        tmp_path / "extract",
        customers="customer_id household_id\n" + "\n".join(f"{key} h{key[1]}" for key in keys),
        contracts="contract_id customer_id\n" + "\n".join(f"k{key} {key}" for key in keys),
        usage_monthly="customer_id month minutes sms data_gb calls dropped_calls\n"
        + "\n".join(f"{key} 2025-{month}-01 0.{key[1:]} 3 1.1 7 1" for key in keys for month in (10, 12)),
        churn_events="customer_id churned_on recorded_at\nC00 2025-11-05 2025-11-05",
    )


def build(extract: Path, snapshot: Path, bucket: int = 0) -> Path:
    build_context(extract, telco(), TONIGHT, snapshot)
    build_bucket(extract, telco(), TONIGHT, bucket, snapshot)
    return snapshot / bucket_file(bucket)


def test_a_bucket_has_the_contracts_columns_in_their_types_and_order(extract: Path, tmp_path: Path) -> None:
    assert pq.read_schema(build(extract, tmp_path / "snapshot")) == arrow_schema(telco().customer)


def test_every_live_customer_is_in_one_bucket_in_order_of_the_key(extract: Path, tmp_path: Path) -> None:
    buckets = [
        pq.ParquetFile(build(extract, tmp_path / "snapshot", bucket)).read()["customer_id"].to_pylist()
        for bucket in range(BUCKETS)
    ]

    assert all(buckets)
    assert [sorted(bucket) for bucket in buckets] == buckets
    assert sorted(key for bucket in buckets for key in bucket) == [f"C{number:02d}" for number in range(1, 40)]


def test_the_same_facts_give_the_same_bytes(extract: Path, tmp_path: Path) -> None:
    assert build(extract, tmp_path / "one").read_bytes() == build(extract, tmp_path / "x=2").read_bytes()


TIES = {
    "customers": """
    customer_id  segment   region
    C1           postpaid  R01
    C1           prepaid   R02
    """,
    "contracts": """
    contract_id  customer_id  plan_code  monthly_price  allowance_gb  ends_on     effective_on
    k1           C1           P1         20             ?             2026-06-30  2025-01-01
    k2           C1           P2         30             10            ?           2025-01-01
    k2           C1           P3         40             5             ?           2025-01-01
    """,
    "usage_monthly": """
    customer_id  month       minutes  data_gb
    C1           2025-12-01  100      7
    C1           2025-12-01  200      ?
    """,
    "tickets": """
    ticket_id  customer_id  opened_on   closed_on   is_complaint
    t1         C1           2025-12-01  ?           true
    t1         C1           2025-12-02  2025-12-09  false
    """,
    "payments": """
    payment_id  customer_id  due_on      paid_on     amount  method
    p1          C1           2025-12-05  ?           10      card
    p1          C1           2025-12-05  2025-12-09  20      voucher
    p2          C1           2025-12-05  2025-12-04  30      transfer
    """,
    "churn_events": """
    customer_id  churned_on
    C1           2025-12-20
    C1           2026-01-20
    """,
}


def test_facts_of_the_same_moment_say_the_same_in_any_order_of_the_files(tmp_path: Path) -> None:
    one = customers_as_of(write_extract(tmp_path / "one", **TIES), "2026-01-01")
    other = customers_as_of(write_extract(tmp_path / "other", **_upside_down(TIES)), "2026-01-01")

    assert list(one) == ["C1"]
    assert one == other


def _upside_down(tables: dict[str, str]) -> dict[str, str]:
    lines = {name: text.strip().splitlines() for name, text in tables.items()}
    return {name: "\n".join([head, *reversed(rows)]) for name, (head, *rows) in lines.items()}


def test_a_bucket_without_customers_is_a_file_without_rows(tmp_path: Path) -> None:
    built = build(write_extract(tmp_path / "extract"), tmp_path / "snapshot")

    assert pq.ParquetFile(built).read().num_rows == 0
    assert pq.read_schema(built) == arrow_schema(telco().customer)


def test_a_customer_of_whom_little_is_known_is_in_the_base(tmp_path: Path) -> None:
    found = customers_as_of(write_extract(tmp_path, customers="customer_id\nstranger"), "2026-01-01")["stranger"]

    required = [column.name for column in telco().customer.columns if column.required]
    assert [name for name in required if found[name] is None] == [
        "plan_code",
        "monthly_price",
        "monthly_revenue",
        "price_change_3m",
        "price_change_6m",
    ]


def test_the_latest_date_is_the_first_after_the_newest_month(extract: Path) -> None:
    assert latest_as_of(extract, telco()) == date(2026, 1, 1)


def test_an_extract_knows_its_buckets(extract: Path) -> None:
    assert bucket_count(extract, telco()) == BUCKETS


def test_a_date_before_the_first_month_is_over_is_refused(extract: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="2024-01-31 is too early: usage is there from 2024-01 to 2025-12"):
        build_context(extract, telco(), moment("2024-01-31"), tmp_path / "snapshot")


def test_a_source_without_usage_describes_no_date(extract: Path) -> None:
    for file in (extract / "usage_monthly").iterdir():
        pq.write_table(pq.read_schema(file).empty_table(), file)

    with pytest.raises(SourceEmpty, match="no month has usage"):
        latest_as_of(extract, telco())


def test_lessons_of_several_dates_stand_one_after_the_other(extract: Path) -> None:
    window = TrainingWindow((date(2025, 11, 1), date(2025, 11, 10)), datetime.fromisoformat("2026-01-01"))

    lessons = training_rows(extract, telco(), window)

    assert lessons.column_names == [*telco().customer.names, "as_of", "label"]
    assert lessons["as_of"].to_pylist() == [date(2025, 11, 1)] * 40 + [date(2025, 11, 10)] * 39
    assert sum(lessons["label"].to_pylist()) == 1


def test_lessons_of_some_buckets_are_the_customers_of_these_buckets(extract: Path, tmp_path: Path) -> None:
    window = TrainingWindow((TONIGHT.as_of,), datetime.fromisoformat("2026-02-01"))

    some = training_rows(extract, telco(), window, buckets=[1])

    built = pq.ParquetFile(build(extract, tmp_path / "snapshot", bucket=1)).read()
    assert some.drop_columns(["as_of", "label"]).equals(built)


def test_lessons_are_refused_while_their_labels_are_unknown(extract: Path) -> None:
    with pytest.raises(RequestError, match="the labels of 2025-12-20 are known from 2026-01-19"):
        training_rows(extract, telco(), TrainingWindow((date(2025, 12, 20),), TONIGHT.known_at))


def test_a_flat_snapshot_is_its_table_sorted_by_key(tmp_path: Path) -> None:
    contract = write_flat(tmp_path)

    assert build_bucket(tmp_path, contract, TONIGHT, 0, tmp_path / "snapshot") == 3

    built = pq.ParquetFile(tmp_path / "snapshot" / bucket_file(0)).read()
    assert built.to_pydict() == {"key": ["a", "b", "b"], "spend": [2.5, 0.5, 1.5], "label": [1, 0, 0]}


def test_flat_lessons_take_their_label_from_the_table_itself(tmp_path: Path) -> None:
    lessons = training_rows(tmp_path, write_flat(tmp_path), TrainingWindow((TONIGHT.as_of,), TONIGHT.known_at))

    assert lessons.column_names == ["key", "spend", "as_of", "label"]
    assert lessons["label"].to_pylist() == [1, 0, 0]
    assert set(lessons["as_of"].to_pylist()) == {TONIGHT.as_of}


def test_who_is_not_known_to_have_left_teaches_nothing(tmp_path: Path) -> None:
    contract = write_flat(tmp_path, labels=(None, 1, 0))
    lessons = training_rows(tmp_path, contract, TrainingWindow((TONIGHT.as_of,), TONIGHT.known_at))

    assert lessons["key"].to_pylist() == ["a", "b"]
    assert lessons["label"].to_pylist() == [1, 0]
    assert build_bucket(tmp_path, contract, TONIGHT, 0, tmp_path / "snapshot") == 3


def test_a_table_that_says_of_nobody_whether_he_left_is_no_lesson(tmp_path: Path) -> None:
    contract = write_flat(tmp_path, labels=(None, None, None))

    with pytest.raises(TrainingError, match=r"^flat, column label: no row says whether its customer left"):
        training_rows(tmp_path, contract, TrainingWindow((TONIGHT.as_of,), TONIGHT.known_at))


def test_flat_data_has_no_context_and_no_latest_date(tmp_path: Path) -> None:
    contract = write_flat(tmp_path)

    assert not build_context(tmp_path, contract, TONIGHT, tmp_path / "snapshot").exists()
    with pytest.raises(RequestError, match="has no months to choose from"):
        latest_as_of(tmp_path, contract)


def test_flat_data_without_a_label_teaches_nothing(tmp_path: Path) -> None:
    contract = write_flat(tmp_path)
    rows = replace(contract.customer, columns=contract.customer.columns[:2])

    with pytest.raises(RequestError, match="no column has the role label"):
        training_rows(
            tmp_path,
            replace(contract, sources=(rows,), customer=rows),
            TrainingWindow((TONIGHT.as_of,), TONIGHT.known_at),
        )


def write_flat(extract: Path, labels: tuple[int | None, ...] = (0, 1, 0)) -> Contract:
    columns = (
        Column("key", LogicalType.STRING, "", roles=(Role.KEY,)),
        Column("spend", LogicalType.NUMBER, "", roles=(Role.FEATURE,)),
        Column("label", LogicalType.INTEGER, "", roles=(Role.LABEL,)),
    )
    rows = Table("rows", "", columns)
    left = pa.array(labels, pa.int64())
    table = pa.table({"key": ["b", "a", "b"], "spend": [1.5, 2.5, 0.5], "label": left})
    (extract / "rows").mkdir()
    pq.write_table(table, extract / "rows" / bucket_file(0))
    return Contract("flat", "1", "", "", sources=(rows,), customer=rows, flat=True)
