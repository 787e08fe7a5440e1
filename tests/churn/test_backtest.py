"""A matured night says whether its model's order or its level was wrong, and where."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.backtest import Matured, apart, backtest_rows, untouched
from churn.campaign import PUBLISHED
from churn.contract import arrow_schema
from churn.labels import treated
from churn.metrics import probability
from schemas.interventions import INTERVENTIONS
from schemas.monitoring import Diagnosis

CUSTOMERS = 60_000
REGIONS = [f"R{number:02d}" for number in range(1, 41)]
CONTESTED = REGIONS[:12]
FIRST, DAYS = date(2026, 1, 1), 30
NAMES = pa.array([f"C{number:05d}" for number in range(CUSTOMERS)])
NO_EVENTS = arrow_schema(INTERVENTIONS).empty_table()


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


def only(rows: pa.Table, value: str) -> dict[str, Any]:
    row: dict[str, Any]
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


def lived_nightly_lists(log_odds: np.ndarray, left: np.ndarray, *, seed: int) -> pa.Table:
    """Members of thirty nights' lists, each of the riskiest who are there still; a tenth is held out by lot."""
    dice = np.random.default_rng(seed)
    gone_on = np.where(left > 0, dice.integers(0, DAYS, CUSTOMERS), DAYS)
    riskiest, fresh = np.argsort(-log_odds), np.ones(CUSTOMERS, np.bool_)
    waves = []
    for day in range(DAYS):
        there = riskiest[(fresh & (gone_on >= day))[riskiest]][:200]
        fresh[there] = False
        waves.append(members_of(FIRST + timedelta(days=day), there, dice.random(len(there)) < 0.1))
    return pa.concat_tables(waves)


def members_of(as_of: date, numbers: np.ndarray, held_out: np.ndarray) -> pa.Table:
    named = {"customer_id": NAMES.take(pa.array(numbers)), "held_out": held_out}
    same = {"as_of": as_of, "action": "call", "policy_digest": "p" * 64, "share": 0.1}
    return pa.table(named | {name: pa.repeat(value, len(numbers)) for name, value in same.items()})


def test_nightly_calls_without_any_effect_leave_a_model_that_is_right_sound() -> None:
    """Who was called on a later night was there until then: to leave the called out, and no more, keeps who left."""
    ratios = []
    for seed in range(4):
        usual = night(0.0, seed=seed)
        called = treated(lived_nightly_lists(usual.log_odds, usual.labels, seed=seed), NO_EVENTS, [FIRST], DAYS)
        weights = untouched(NAMES, called)
        riskiest = np.argsort(-usual.log_odds)[: CUSTOMERS // 10]
        counted = weights[riskiest]
        ratios.append((counted * usual.labels[riskiest]).sum() / (counted @ probability(usual.log_odds[riskiest])))
        assert only(backtest_rows(replace(usual, weights=weights)), "all")["diagnosis"] == Diagnosis.SOUND
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.12)


def test_the_held_out_stand_for_the_listed_of_all_lists_within_a_horizon() -> None:
    listed, held_out = np.arange(9), np.array([9])
    lists = [
        members_of(FIRST + timedelta(days=day), numbers, np.full(len(numbers), spared))
        for day, numbers, spared in [(-DAYS, listed, False), (29, held_out, True), (-31, np.array([11]), False)]
    ]
    weights = untouched(NAMES.slice(0, 13), treated(pa.concat_tables(lists), NO_EVENTS, [FIRST], DAYS))
    assert weights.tolist() == [0.0] * 9 + [10.0] + [1.0] * 3


def test_where_nobody_was_called_all_stand_for_themselves() -> None:
    called = treated(members_of(FIRST, np.array([], np.int64), np.array([], np.bool_)), NO_EVENTS, [FIRST], DAYS)
    assert untouched(NAMES.slice(0, 3), called).tolist() == [1.0] * 3


def test_the_error_of_the_auc_goes_by_those_who_are_there_and_not_by_whom_they_stand_for() -> None:
    same, some = night(0.0), (np.arange(CUSTOMERS) % 10 == 0).astype(np.float64)
    alone, stand_in = (only(backtest_rows(replace(same, weights=each)), "all") for each in (some, 10.0 * some))
    assert stand_in["customers"] == pytest.approx(10 * alone["customers"])
    assert stand_in["auc_error"] == pytest.approx(alone["auc_error"])


@pytest.mark.parametrize(("held_out_for", "said"), [(1.0, Diagnosis.CALIBRATION), (1_000.0, Diagnosis.TOO_FEW)])
def test_a_night_of_which_nobody_left_is_wrong_unless_few_tell_of_it(held_out_for: float, said: Diagnosis) -> None:
    usual = night(0.0)
    stand = np.where(np.arange(CUSTOMERS) < CUSTOMERS / held_out_for, held_out_for, 0.0)
    row = only(backtest_rows(replace(usual, labels=np.zeros(CUSTOMERS, np.int64), weights=stand)), "all")
    assert (row["observed_to_predicted"], row["diagnosis"]) == (0.0, said)


def test_who_stands_for_nobody_counts_in_no_figure() -> None:
    same = night(0.0)
    half = np.where(np.arange(CUSTOMERS) % 2, 1.0, 0.0)
    told = backtest_rows(replace(same, weights=half))
    assert only(told, "all")["customers"] == CUSTOMERS / 2


def test_nights_are_taken_together_that_share_no_churner() -> None:
    nights = [date(2026, 1, day) for day in range(1, 31)] + [date(2025, 12, 5), date(2025, 11, 1)]
    assert apart(nights, 30, 2) == [date(2026, 1, 30), date(2025, 12, 5)]
