"""What a night says depends on its date and on what was known of it, and on nothing that arrived later."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path

import pytest

from churn.backfill import nights_between
from churn.errors import RequestError
from churn.night import chosen_known_at
from tests.small_telecom import BUCKETS, customers_as_of, moment, rows_of, write_extract

TONIGHT = "2026-01-01"
NOW = datetime.fromisoformat("2026-01-05T10:00")

CUSTOMERS = """
customer_id
corrected
never_corrected
"""
USAGE = """
customer_id      month       minutes  recorded_at
corrected        2025-12-01      100  2025-12-31T23:00
never_corrected  2025-12-01      100  2025-12-31T23:00
"""
# What the source holds three days later: December's minutes were wrong, which nobody knew when the night was scored.
USAGE_LATER = f"""{USAGE.rstrip()}
corrected        2025-12-01        1  2026-01-04T09:00
"""


@pytest.fixture
def then(tmp_path: Path) -> Path:
    """The extract of the night itself."""
    return write_extract(tmp_path / "then", customers=CUSTOMERS, usage_monthly=USAGE)


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The extract of three days later, with the correction in it."""
    return write_extract(tmp_path / "later", customers=CUSTOMERS, usage_monthly=USAGE_LATER)


def digest(extract: Path, known_at: str) -> str:
    """The digest of the snapshot's files, by which a night knows that it is published already."""
    customers_as_of(extract, TONIGHT, known_at)
    snapshot = extract / f"snapshot-{TONIGHT}-{moment(TONIGHT, known_at).known_at:%Y%m%dT%H%M%S}"
    files = [snapshot / f"bucket={bucket:02d}.parquet" for bucket in range(BUCKETS)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@pytest.mark.parametrize(
    ("known_at", "same"),
    [
        ("2026-01-01T00:00", True),  # as it was scored
        ("2026-01-04T08:59", True),  # the correction was still to come
        ("2026-01-04T09:00", False),
        ("2026-01-05T10:00", False),
    ],
)
def test_a_correction_changes_the_night_from_the_moment_on_at_which_it_arrived(
    then: Path, later: Path, known_at: str, same: bool
) -> None:
    assert (digest(later, known_at) == digest(then, TONIGHT)) is same


def test_it_changes_the_customers_that_it_is_about_and_no_others(then: Path, later: Path) -> None:
    before, after = customers_as_of(then, TONIGHT), customers_as_of(later, TONIGHT, "2026-01-05")
    assert before.keys() == after.keys()
    assert {customer for customer in before if before[customer] != after[customer]} == {"corrected"}


@pytest.mark.parametrize(
    "row",
    rows_of(
        """
        asked_for         answer
        ?                 2026-01-01T00:00
        2026-01-01        2026-01-01T00:00
        2026-01-04T12:00  2026-01-04T12:00
        2026-01-05T10:00  2026-01-05T10:00
        2026-01-05T10:01  has_not_come_yet
        2027-01-01        has_not_come_yet
        2025-12-31T23:59  is_before
        soon              is_no_moment
        2026-01-05T00:00+09:00  says_a_zone
        2026-01-04T12:00Z  says_a_zone
        """
    ),
    ids=lambda row: str(row["asked_for"]),
)
def test_facts_count_until_a_moment_between_the_night_and_now(row: dict[str, str]) -> None:
    try:
        answer = chosen_known_at(row["asked_for"], as_of=date.fromisoformat(TONIGHT), now=NOW).isoformat("T", "minutes")
    except RequestError as refused:
        answer = refused.what.replace(" ", "_")
    assert row["answer"] in answer


@pytest.mark.parametrize(
    "row",
    rows_of(
        """
        first       last        nights
        2026-01-01  2026-01-01  2026-01-01
        2026-01-02  2026-01-04  2026-01-02,2026-01-03,2026-01-04
        2026-01-04  2026-01-05  2026-01-05_is_not_over
        2026-01-04  2026-01-02  2026-01-02_comes_before_2026-01-04
        """
    ),
    ids=lambda row: f"{row['first']} to {row['last']}",
)
def test_a_backfill_scores_whole_days_that_are_over_the_oldest_first(row: dict[str, str]) -> None:
    try:
        answer = ",".join(map(str, nights_between(row["first"], row["last"], today=NOW.date())))
    except RequestError as refused:
        answer = refused.what.replace(" ", "_")
    assert answer == row["nights"]
