"""Who was in a wave is remembered with the money that the decision was made by."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from churn.contract import arrow_schema
from churn.outcomes import MEMBERS, wave_members
from schemas.outreach import STATUSES

WAVE = date(2026, 1, 1)
SCORES = pa.table(
    {
        "customer_id": ["anna", "bert", "cleo"],
        "segment": ["prepaid"] * 3,
        "band": ["high"] * 3,
        "probability": [0.3, 0.2, 0.1],
        "customer_value": [25.0] * 3,
    }
)


def told(customer: str, status: str, value: float, unit: str | None) -> dict[str, object]:
    names = {"customer_id": customer, "status": status, "rule": "by worth", "action": "call", "policy_digest": "one"}
    return {"as_of": WAVE, **names, "customer_value": value, "unit": unit}


DECIDED = pa.Table.from_pylist(
    [
        told("anna", "listed", 300.0, "household H1"),
        told("bert", "held_out", 600.0, "customer bert"),
        told("cleo", "beyond_capacity", 900.0, None),
    ],
    schema=arrow_schema(STATUSES),
)


def test_the_money_of_a_wave_is_that_of_its_policy_and_not_that_of_the_score() -> None:
    members = wave_members(DECIDED, SCORES)
    assert members["customer_value"].to_pylist() == [300.0, 600.0]
    assert members["unit"].to_pylist() == ["household H1", "customer bert"]
    assert members["held_out"].to_pylist() == [False, True]


def test_risk_is_told_by_the_published_score_whichever_model_decided() -> None:
    arms = pa.array(["challenger", "champion", None]).dictionary_encode()
    members = wave_members(DECIDED.set_column(DECIDED.column_names.index("model_arm"), "model_arm", arms), SCORES)
    assert members["model_arm"].to_pylist() == ["challenger", "champion"]
    assert members["probability"].to_pylist() == [0.3, 0.2]
    assert members["band"].to_pylist() == ["high", "high"]


def test_how_many_customers_each_model_was_dealt_stands_with_the_members() -> None:
    arms = pa.array(["champion", "challenger", "champion"]).dictionary_encode()
    decided = DECIDED.set_column(DECIDED.column_names.index("model_arm"), "model_arm", arms)
    members = wave_members(decided, SCORES)
    assert members["champion_customers"].to_pylist() == [2, 2], "those whom no list named count, too"
    assert members["challenger_customers"].to_pylist() == [1, 1]


def test_a_list_of_an_earlier_release_tells_no_money_and_no_unit() -> None:
    members = wave_members(DECIDED.drop_columns(["customer_value", "unit", "model_arm"]), SCORES)
    assert members.schema == MEMBERS
    assert members["champion_customers"].null_count == 2
    assert members["customer_value"].null_count == members["unit"].null_count == 2
    assert members["probability"].to_pylist() == [0.3, 0.2]
