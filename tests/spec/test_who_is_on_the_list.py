"""Who is contacted tonight and why not: small tables that a colleague from the call centre could check."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.outreach import Judged, best, draw_cut, is_listed, judge, status_columns
from schemas.policy import Policy, Suppression

CAPACITY = 2
POLICY = Policy(
    name="spec",
    version="1.0.0",
    description="",
    capacity=CAPACITY,
    keep_probability=0.3,
    offer_cost=10,
    contact_cost=1,
    suppress=(
        Suppression(status="do_not_contact", column="do_not_contact", equals=True, because="asked not to be"),
        Suppression(status="no_consent", column="consent", equals=False, because="did not agree"),
    ),
)

BASE = """
customer  probability  value  do_not_contact  consent  status
anna             0.60    900              no      yes  listed
boris            0.90    900             yes      yes  do_not_contact
clara            0.90    900             yes       no  do_not_contact
david            0.90    900              no       no  no_consent
elif             0.50    900              no      yes  listed
farid            0.40    900              no      yes  beyond_capacity
gita             0.02    900              no      yes  not_worth_it
hugo             0.90     15              no      yes  not_worth_it
ines             0.90      ?              no      yes  not_worth_it
"""


def rows_of(text: str) -> list[dict[str, str]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def base_table(rows: list[dict[str, str]]) -> pa.Table:
    return pa.table(
        {
            "customer_id": [row["customer"] for row in rows],
            "probability": [float(row["probability"]) for row in rows],
            "customer_value": pa.array(
                [None if row["value"] == "?" else float(row["value"]) for row in rows], pa.float64()
            ),
            "do_not_contact": [row["do_not_contact"] == "yes" for row in rows],
            "consent": [row["consent"] == "yes" for row in rows],
        }
    )


def decide(parts: list[Judged], capacity: int) -> dict[str, str]:
    policy = POLICY.model_copy(update={"capacity": capacity})
    cut = draw_cut([best(part, capacity) for part in parts], capacity)
    return {
        customer: status
        for part in parts
        for customer, status in zip(
            part.customer_id.to_pylist(), status_columns(part, cut, policy)[0].to_pylist(), strict=True
        )
    }


def test_each_customer_has_the_status_of_the_table() -> None:
    rows = rows_of(BASE)
    assert decide([judge(base_table(rows), POLICY)], CAPACITY) == {row["customer"]: row["status"] for row in rows}


def test_the_way_the_base_is_split_changes_nothing() -> None:
    rows = rows_of(BASE)
    parts = [judge(base_table(rows[start : start + 2]), POLICY) for start in range(0, len(rows), 2)]
    assert decide(parts, CAPACITY) == {row["customer"]: row["status"] for row in rows}


def test_one_rule_over_half_the_base_still_fills_the_list() -> None:
    count, capacity = 1_600, 50
    table = pa.table(
        {
            "customer_id": [f"c{number:05d}" for number in range(count)],
            "probability": np.linspace(0.2, 0.9, count),
            "customer_value": np.full(count, 900.0),
            "do_not_contact": np.arange(count) >= count // 2,
            "consent": np.full(count, True),
        }
    )
    statuses = list(decide([judge(table, POLICY)], capacity).values())
    assert statuses.count("listed") == capacity


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([50.0, 500.0]), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 45),
    st.integers(1, 7),
)
def test_exactly_full_whenever_enough_are_worth_it(
    customers: list[tuple[float, float, bool]], capacity: int, part: int
) -> None:
    table = pa.table(
        {
            "customer_id": [f"c{number:03d}" for number in range(len(customers))],
            "probability": [customer[0] for customer in customers],
            "customer_value": [customer[1] for customer in customers],
            "do_not_contact": [customer[2] for customer in customers],
            "consent": [True] * len(customers),
        }
    )
    parts = [judge(table.slice(start, part), POLICY) for start in range(0, len(customers), part)]
    worth_it = sum(int((judged.verdict == -1).sum()) for judged in parts)
    cut = draw_cut([best(judged, capacity) for judged in parts], capacity)
    assert sum(int(is_listed(judged, cut).sum()) for judged in parts) == min(capacity, worth_it)
