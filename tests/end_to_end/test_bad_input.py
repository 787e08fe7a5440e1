"""A feed that is broken stops its night by name, and readers keep yesterday's tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.errors import ChurnError, PolicyError, QualityError, SourceEmpty, SourceMismatch, SourceMissing
from tests.end_to_end.nights import Nights, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT, Tables, delivered, replaced, some_of, tables

KEY = r"C\d{9}"


@dataclass(frozen=True, slots=True)
class Broken:
    """One way in which a feed is broken, and what its night says: an error, and words in this order."""

    what: str
    feed: Callable[[], Tables]
    error: type[ChurnError]
    told: tuple[str, ...]


def with_table(name: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[], Tables]:
    return lambda: tables() | {name: change(tables()[name])}


def fault(name: str) -> Callable[[], Tables]:
    return lambda: tables(name)


def with_words(usage: pa.Table) -> pa.Table:
    """Three customers whose minutes are a word."""
    word = pc.is_in(usage["customer_id"], some_of(usage, 3))
    return usage.set_column(
        usage.column_names.index("minutes"), "minutes", pc.if_else(word, "many", usage["minutes"].cast(pa.string()))
    )


def with_flags(customers: pa.Table) -> pa.Table:
    return customers.set_column(
        customers.column_names.index("joined_on"), "joined_on", pa.array([True] * len(customers))
    )


def all_hybrid() -> Tables:
    return replaced(tables(), "customers", "segment", "hybrid", tables()["customers"]["customer_id"])


def seven_tenths() -> Tables:
    kept = some_of(tables()["customers"], int(0.7 * pc.count_distinct(tables()["customers"]["customer_id"]).as_py()))
    return {name: table.filter(pc.is_in(table["customer_id"], kept)) for name, table in tables().items()}


BROKEN = [
    Broken(
        "a column is missing",
        with_table("usage_monthly", lambda usage: usage.drop_columns("minutes")),
        SourceMismatch,
        ("table usage_monthly: ", "missing: minutes", "contract"),
    ),
    Broken(
        "a column is new",
        with_table("customers", lambda customers: customers.append_column("shoe_size", customers["birth_year"])),
        SourceMismatch,
        ("table customers: ", "not in the contract: shoe_size"),
    ),
    Broken(
        "a column is renamed",
        with_table("usage_monthly", lambda usage: usage.rename_columns({"dropped_calls": "Dropped Calls"})),
        SourceMismatch,
        ("table usage_monthly: ", "missing: dropped_calls, probably renamed to Dropped Calls"),
    ),
    Broken(
        "a column has another type",
        with_table("customers", with_flags),
        SourceMismatch,
        ("table customers: ", "column joined_on is bool, not date"),
    ),
    Broken(
        "numbers are words in places",
        with_table("usage_monthly", with_words),
        SourceMismatch,
        (
            "table usage_monthly, column minutes: ",
            r"\d+ of [\d,]+ values are not numbers",
            *(rf"'many' \({KEY}",) * 3,
            "logicalType of minutes",
        ),
    ),
    Broken(
        "a table is empty",
        with_table("tickets", lambda tickets: tickets.slice(0, 0)),
        SourceEmpty,
        ("table tickets: ", "no rows"),
    ),
    Broken(
        "a category nobody has heard of, everywhere",
        all_hybrid,
        QualityError,
        (
            "telco customer/segment: ",
            "segment is one of prepaid, postpaid: broken in",
            r"\(100.00%\)",
            *(rf"{KEY} \(hybrid\)",) * 3,
        ),
    ),
    Broken(
        "a new plan code",
        fault("new_plan_code"),
        QualityError,
        ("telco customer/plan_code: ", "one of P1, .*broken in", *(rf"{KEY} \(P9\)",) * 3, "contract"),
    ),
    Broken(
        "seconds instead of minutes",
        fault("seconds_for_minutes"),
        QualityError,
        (
            "telco customer/minutes_last_month: ",
            "0 to 10,000 minutes: broken in",
            *(rf"{KEY} \(\d+",) * 3,
            "Ask the source for its unit",
        ),
    ),
    Broken(
        "a column gone null",
        fault("null_column"),
        QualityError,
        ("telco customer/data_gb_last_month: ", "data_gb_last_month has a value: broken in", *(KEY,) * 3),
    ),
    Broken(
        "a month that came twice",
        fault("duplicated_month"),
        QualityError,
        ("telco customer/usage_repeated_last_month: ", "broken in", *(KEY,) * 3, "each of them once"),
    ),
    Broken(
        "a month that did not come",
        fault("missing_month"),
        QualityError,
        ("telco customer/usage_missing_last_month: ", "broken in", *(KEY,) * 3, "each of them once"),
    ),
    Broken(
        "a month that came late",
        fault("late_month"),
        QualityError,
        ("telco customer/usage_missing_last_month: ", "broken in", *(KEY,) * 3, "each of them once"),
    ),
    Broken(
        "three customers in ten are gone",
        seven_tenths,
        QualityError,
        ("telco customer: ", r"the number of rows is 1,\d+ to 3,\d+: found 1[34]\d\d"),
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.what)
def test_a_broken_feed_is_told_by_name_and_readers_keep_what_they_had(
    shared_nights: Nights, tmp_path: Path, broken: Broken
) -> None:
    before = shared_nights.shown()
    with pytest.raises(broken.error) as caught:
        shared_nights.run(NEXT_NIGHT, delivered(broken.feed(), tmp_path / "feed"))
    assert re.search(".*".join(broken.told), str(caught.value), re.DOTALL), caught.value
    assert shared_nights.shown() == before
    assert last_run_of(NEXT_NIGHT) == ("rejected", f"{caught.value.where}: {caught.value.what}")


def last_run_of(as_of: str) -> tuple[str, str]:
    """What `night_status` tells of the night's scores: what became of their last run, and why."""
    (row,) = (row for row in view_rows("night_status") if (row["as_of"], row["kind"]) == (as_of, "scores"))
    return row["last_state"], row["reason"]


def test_a_training_on_a_broken_feed_is_no_failure_of_the_night_that_is_published(
    shared_nights: Nights, tmp_path: Path
) -> None:
    from flows.retraining import retraining

    shown, alerts = last_run_of(FIRST_NIGHT), view_rows("night_alerts")
    with pytest.raises(BROKEN[0].error):
        retraining(as_of=FIRST_NIGHT, source=delivered(BROKEN[0].feed(), tmp_path / "feed"))
    assert last_run_of(FIRST_NIGHT) == shown == ("published", None)
    assert view_rows("night_alerts") == alerts


def test_a_policy_that_cannot_be_read_is_told_of_like_any_failure_of_the_night(
    shared_nights: Nights, tmp_path: Path
) -> None:
    policy = tmp_path / "broken.yaml"
    policy.write_text("name: [")
    with pytest.raises(PolicyError, match="broken"):
        shared_nights.run(NEXT_NIGHT, policy=str(policy))
    state, reason = last_run_of(NEXT_NIGHT)
    assert (state, str(policy) in reason) == ("failed", True)


SHOP = """
apiVersion: v3.2.0
kind: DataContract
id: shop
name: shop
version: 1.0.0
status: active
schema:
  - name: shoppers
    description: One row per shopper.
    customProperties:
      - {property: kind, value: flat}
    properties:
      - name: shopper
        description: Key of the shopper.
        logicalType: string
        required: true
        unique: true
        primaryKey: true
        primaryKeyPosition: 1
        customProperties:
          - {property: role, value: key}
      - name: visits
        description: Visits in the last month.
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 1000}
        customProperties:
          - {property: role, value: feature}
          - {property: unit, value: visits}
      - name: left
        physicalName: Left
        description: Whether the shopper left within the month.
        logicalType: integer
        logicalTypeOptions: {minimum: 0, maximum: 1}
        required: true
        customProperties:
          - {property: role, value: label}
"""
HEAD = "shopper,visits,Left\n"
SHOPPERS = HEAD + "".join(f"S{number},{number % 9},{number % 2}\n" for number in range(40))
TWICE = "S6,1,0\nS7,1,0\nS8,1,0\n"

BROKEN_FILES = [
    ("a key twice", SHOPPERS + TWICE, QualityError, "shop shoppers/shopper: shopper occurs once: .* S6, S7, S8"),
    ("a file without a byte", "", SourceEmpty, "shoppers.csv"),
    ("a file without a row", HEAD, SourceEmpty, "shoppers.csv, table shoppers: the table has no rows"),
    ("another delimiter", SHOPPERS.replace(",", ";"), SourceMismatch, "shoppers.csv, table shoppers: .*missing: "),
    ("no file", None, SourceMissing, "shoppers.csv: there is no such file"),
]


@pytest.mark.parametrize(
    ("content", "error", "told"), [case[1:] for case in BROKEN_FILES], ids=[case[0] for case in BROKEN_FILES]
)
def test_a_broken_file_is_told_by_name_and_readers_keep_what_they_had(
    shared_nights: Nights, tmp_path: Path, *, content: str | None, error: type[ChurnError], told: str
) -> None:
    contract, file = tmp_path / "shop.yaml", tmp_path / "shoppers.csv"
    contract.write_text(SHOP)
    if content is not None:
        file.write_text(content)
    before = shared_nights.shown()
    with pytest.raises(error, match=told):
        shared_nights.run(NEXT_NIGHT, str(file), contract=str(contract))
    assert shared_nights.shown() == before
