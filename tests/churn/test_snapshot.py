"""The moments that a snapshot can describe, and the texts that describe it."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from churn.errors import RequestError
from churn.snapshot import DECIMALS, Moment, TrainingWindow, customer_sql, month_after
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract

NEW_YEAR = date(2026, 1, 1)


def test_a_date_is_by_default_described_as_it_was_known_when_it_began() -> None:
    assert Moment.at(NEW_YEAR).known_at == datetime.fromisoformat("2026-01-01T00:00")


def test_what_was_known_before_a_date_began_does_not_describe_it() -> None:
    with pytest.raises(RequestError, match="known_at 2025-12-31 23:59:00 is before 2026-01-01 begins"):
        Moment(NEW_YEAR, datetime.fromisoformat("2025-12-31T23:59"))


@pytest.mark.parametrize(
    ("day", "next_month"),
    [("2025-12-01", "2026-01-01"), ("2026-01-31", "2026-02-01"), ("2028-02-29", "2028-03-01")],
)
def test_the_month_after_begins_on_its_first(day: str, next_month: str) -> None:
    assert month_after(date.fromisoformat(day)) == date.fromisoformat(next_month)


def test_a_date_teaches_once_all_its_leavers_can_be_known() -> None:
    TrainingWindow((NEW_YEAR,), datetime.fromisoformat("2026-01-31")).require_matured(horizon_days=30)


def test_a_date_teaches_nothing_while_its_horizon_runs() -> None:
    window = TrainingWindow((date(2025, 6, 1), NEW_YEAR), datetime.fromisoformat("2026-01-30T23:59"))

    with pytest.raises(RequestError, match="the labels of 2026-01-01 are known from 2026-01-31 00:00:00 on"):
        window.require_matured(horizon_days=30)


def test_a_flat_row_is_taken_as_it_is_in_the_contracts_order() -> None:
    sql = customer_sql(flat_contract())

    assert sql == (
        'SELECT CAST("key" AS VARCHAR) AS "key",\n'
        f'  CAST(round("a ""b""", {DECIMALS}) AS DOUBLE) AS "a ""b""" FROM "rows" ORDER BY "key", "a ""b"""'
    )


def flat_contract() -> Contract:
    rows = Table(
        "rows",
        "",
        (
            Column("key", LogicalType.STRING, "", roles=(Role.KEY,)),
            Column('a "b"', LogicalType.NUMBER, "", roles=(Role.FEATURE,)),
        ),
    )
    return Contract("flat", "1", "", "", sources=(rows,), customer=rows, flat=True)
