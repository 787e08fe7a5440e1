"""The report's rows are those of its table, and nothing in them depends on the order of customers."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from churn.contract import arrow_schema
from churn.lift import lifts
from churn.lift_figures import lift_rows
from churn.outcomes import entries, matured
from churn.spending import Cost, Terms
from schemas.lift import LIFT

SEED = 7
KNOWN_AT = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
TERMS = [Terms("one", share=0.1, costs={"call": Cost(2.0, 10.0)})]


def members(customers: int) -> pa.Table:
    dice = np.random.default_rng(SEED)
    rate = dice.choice([0.05, 0.25], customers)
    return pa.table(
        {
            "as_of": [date(2026, 1, 1)] * customers,
            "customer_id": [f"C{number}" for number in range(customers)],
            "held_out": dice.random(customers) < 0.1,
            "action": pa.array(["call"] * customers).dictionary_encode(),
            "policy_digest": ["one"] * customers,
            "segment": pa.array(["prepaid", None] * (customers // 2)),
            "band": np.where(rate < 0.1, "low", "high"),
            "probability": rate,
            "customer_value": pa.array([None, 100.0] * (customers // 2)),
            "unit": pa.nulls(customers, pa.string()),
            "model_arm": pa.nulls(customers, pa.string()),
            "churned": dice.random(customers) < rate,
            "contacted": np.zeros(customers, bool),
            "accepted": np.zeros(customers, bool),
        }
    )


def test_the_rows_have_the_table_s_columns_and_nulls_where_nothing_can_be_said() -> None:
    few = lift_rows(lifts(members(4).slice(0, 1), TERMS), "telco", KNOWN_AT)
    assert few.schema == arrow_schema(LIFT)
    assert few["effect"].null_count == few["saved"].null_count == few.num_rows
    assert all(few[column.name].null_count == 0 for column in LIFT.columns if column.required)


def test_without_members_there_is_nothing_to_report() -> None:
    assert lifts(members(4).slice(0, 0), TERMS) == []
    assert lift_rows([], "telco", KNOWN_AT).num_rows == 0


def test_the_order_in_which_customers_are_read_changes_nothing() -> None:
    whole = members(4_000)
    shuffled = whole.take(pa.array(np.random.default_rng(SEED).permutation(whole.num_rows)))
    assert lifts(entries(whole), TERMS) == lifts(entries(shuffled), TERMS)


def test_a_date_has_matured_when_its_horizon_is_over() -> None:
    dates = [date(2026, 2, 1), date(2026, 1, 29), date(2026, 1, 30), date(2026, 1, 31)]
    assert matured(dates, 30, KNOWN_AT) == [date(2026, 1, 29), date(2026, 1, 30)]
