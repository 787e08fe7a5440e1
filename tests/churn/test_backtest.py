"""A matured night says whether its model's order or its level was wrong, and where."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.backtest import Matured, apart, backtest_rows, untouched
from churn.campaign import PUBLISHED
from churn.metrics import probability
from schemas.monitoring import Diagnosis

CUSTOMERS = 60_000
REGIONS = [f"R{number:02d}" for number in range(1, 41)]
CONTESTED = REGIONS[:12]


def night(more: np.ndarray | float, *, seed: int = 3, order: float = 1.0) -> Matured:
    """Customers whose true log-odds are `more` than predicted, and of whom the prediction knows `order`."""
    dice = np.random.default_rng(seed)
    known, hidden = dice.standard_normal((2, CUSTOMERS))
    predicted = -3.6 + 0.8 * known
    true = -3.6 + 0.8 * (order * known + np.sqrt(1.0 - order**2) * hidden) + more
    left = dice.random(CUSTOMERS) < probability(true)
    region = dice.integers(0, 40, CUSTOMERS).astype(np.int32)
    segment = (dice.random(CUSTOMERS) < 0.3).astype(np.int32)
    by = {
        "segment": pa.DictionaryArray.from_arrays(segment, ["postpaid", "prepaid"]),
        "region": pa.DictionaryArray.from_arrays(region, REGIONS),
    }
    weights = np.ones(CUSTOMERS)
    before = {"all": 0.70}
    return Matured(
        "telco", date(2026, 1, 1), "run", 1, left.astype(np.int64), predicted, weights, by, PUBLISHED, before
    )


def only(rows: pa.Table, value: str) -> dict[str, object]:
    [row] = rows.filter(pc.equal(rows["value"], value)).to_pylist()
    return row


def test_a_model_that_is_right_is_sound() -> None:
    row = only(backtest_rows(night(0.0)), "all")
    assert row["observed_to_predicted"] == pytest.approx(1.0, abs=0.1)
    assert row["diagnosis"] == Diagnosis.SOUND


def test_a_price_rise_is_called_calibration_and_not_discrimination() -> None:
    """Half more leave than predicted, above all who scored high: the AUC rises, the mean is a third too low."""
    dear = night(0.0)
    rise = 0.25 + 0.25 * (dear.log_odds > -3.0)
    row = only(backtest_rows(night(rise)), "all")
    assert row["observed_to_predicted"] > 1.3
    assert row["auc"] > only(backtest_rows(dear), "all")["auc"]
    assert row["diagnosis"] == Diagnosis.CALIBRATION


def test_an_order_that_is_lost_is_called_discrimination() -> None:
    row = only(backtest_rows(night(0.0, order=0.3)), "all")
    assert row["diagnosis"] == Diagnosis.DISCRIMINATION


def test_every_segment_and_every_value_has_its_row() -> None:
    rows = backtest_rows(night(0.0))
    assert rows["value"].to_pylist() == ["all", "postpaid", "prepaid", *REGIONS]
    assert only(rows, "R07")["auc"] is None


def test_the_held_out_stand_for_the_listed() -> None:
    status = pa.array(["listed"] * 9 + ["held_out"] * 1 + ["beyond_capacity"] * 5)
    contacted = np.zeros(15, np.bool_)
    contacted[14] = True
    assert untouched(status, contacted).tolist() == [0.0] * 9 + [10.0] + [1.0] * 4 + [0.0]


def test_who_stands_for_nobody_counts_in_no_figure() -> None:
    same = night(0.0)
    half = np.where(np.arange(CUSTOMERS) % 2, 1.0, 0.0)
    told = backtest_rows(Matured(*(getattr(same, name) if name != "weights" else half for name in same.__slots__)))
    assert only(told, "all")["customers"] == CUSTOMERS / 2


def test_nights_are_taken_together_that_share_no_churner() -> None:
    nights = [date(2026, 1, day) for day in range(1, 31)] + [date(2025, 12, 5), date(2025, 11, 1)]
    assert apart(nights, 30, 2) == [date(2026, 1, 30), date(2025, 12, 5)]
