"""A small scorecard, customers for it and the contract of both, made by hand or drawn from a seed."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from churn.metrics import probability
from churn.scorecard import Feature, Kind, Scorecard, Term
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract

AS_OF = date(2026, 1, 1)
PLANS = ("P1", "P2", "P3")

COLUMNS = (
    Column("customer_id", LogicalType.STRING, "key", roles=(Role.KEY,)),
    Column("segment", LogicalType.STRING, "segment", roles=(Role.SEGMENT,)),
    Column("bill", LogicalType.NUMBER, "monthly bill", roles=(Role.VALUE,), unit="EUR"),
    Column("tenure", LogicalType.INTEGER, "tenure", roles=(Role.FEATURE,), unit="months", minimum=0),
    Column("dropped", LogicalType.NUMBER, "dropped calls", roles=(Role.FEATURE,), unit="share", title="dropped calls"),
    Column("in_contract", LogicalType.BOOLEAN, "in contract", roles=(Role.FEATURE,)),
    Column("plan", LogicalType.STRING, "plan", roles=(Role.FEATURE,), allowed=PLANS),
)


def contract(columns: tuple[Column, ...] = COLUMNS, **facts: object) -> Contract:
    table = Table("customers", "customers", columns, ("customer_id",))
    given = {"name": "tiny", "version": "1", "digest": "c" * 64, "description": "", "flat": True, "text": "a: contract"}
    return Contract(**{**given, "sources": (table,), "customer": table, **facts})  # type: ignore[arg-type]


def card() -> Scorecard:
    """Four features, and one pair that is cut more coarsely than its features are."""
    features = (
        Feature("tenure", Kind.WHOLE, "tenure", "months", 0.0, np.array([3.0, 10.5, 13.5])),
        Feature("dropped", Kind.NUMBER, "dropped calls", "share", None, np.array([0.02, 0.05])),
        Feature("in_contract", Kind.YES_NO, "in contract", cuts=np.array([0.5])),
        Feature("plan", Kind.CATEGORY, "plan", categories=PLANS),
    )
    terms = (
        Term((0,), (np.arange(5),), np.array([0.1, 0.8, 0.3, 0.6, -0.9])),
        Term((1,), (np.arange(4),), np.array([0.0, -0.2, 0.1, 0.7])),
        Term((2,), (np.arange(3),), np.array([0.0, 0.5, -0.5])),
        Term((3,), (np.arange(5),), np.array([-0.1, 0.0, 0.2, 0.4, 0.05])),
        Term((0, 3), (np.array([0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 3])), np.linspace(-0.3, 0.3, 12).reshape(3, 4)),
    )
    return Scorecard(-2.0, features, terms, base_rate=0.1)


def customers(n: int, seed: int = 1) -> pa.Table:
    """Customers with missing values in every feature and a plan that the card has never seen."""
    dice = np.random.default_rng(seed)
    plans = np.array([*PLANS, "P9"], dtype=object)[dice.integers(0, 4, n)]
    return pa.table(
        {
            "customer_id": [f"C{number:06d}" for number in range(n)],
            "segment": np.where(dice.random(n) < 0.3, "prepaid", "postpaid"),
            "bill": dice.gamma(4.0, 8.0, n),
            "tenure": pa.array(dice.integers(0, 30, n), mask=dice.random(n) < 0.1),
            "dropped": pa.array(dice.beta(1.0, 30.0, n), mask=dice.random(n) < 0.1),
            "in_contract": pa.array(dice.random(n) < 0.6, mask=dice.random(n) < 0.1),
            "plan": pa.array(plans, pa.string(), mask=dice.random(n) < 0.1),
        }
    )


def lessons(n: int, as_ofs: tuple[date, ...] = (AS_OF,), seed: int = 1) -> pa.Table:
    """Customers of several dates with `as_of` and `label`; who leaves follows tenure, plan, contract and chance."""
    parts = [_lessons_of(n, as_of, seed + number) for number, as_of in enumerate(as_ofs)]
    return pa.concat_tables(parts)


def _lessons_of(n: int, as_of: date, seed: int) -> pa.Table:
    rows = customers(n, seed)
    tenure = np.nan_to_num(rows["tenure"].to_numpy(), nan=15.0)
    bound = np.array([value is True for value in rows["in_contract"].to_pylist()])
    dearest = np.array([value == "P3" for value in rows["plan"].to_pylist()])
    log_odds = -1.0 + 1.5 * (tenure < 6) - 1.5 * bound + 1.2 * dearest * (tenure < 15)
    label = (np.random.default_rng(seed + 1_000).random(n) < probability(log_odds)).astype(np.int64)
    dates = pa.repeat(pa.scalar(as_of), n)
    return rows.append_column("as_of", dates).append_column("label", pa.array(label))
