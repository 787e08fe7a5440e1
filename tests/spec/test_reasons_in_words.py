"""What the call centre reads for a customer. Each line is a customer, and what is said of one thing about him."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.lookup import NO_CELL, score_one
from churn.reasons import bin_words, reasons, words
from churn.scorecard import Feature, Kind, Scorecard, Term
from tests import cards

TENURE = Feature("tenure", Kind.WHOLE, "tenure", "months", 0.0, np.array([1.5, 10.5, 13.5]))
COMPLAINTS = Feature("complaints", Kind.WHOLE, "open complaints", "", 0.0, np.array([0.5, 1.5]))
DROPPED = Feature("dropped", Kind.NUMBER, "dropped calls", "share", cuts=np.array([0.02, 0.055]))
PRICE = Feature("price", Kind.NUMBER, "monthly price", "EUR", cuts=np.array([19.95, 1_500.0]))
BALANCE = Feature("balance", Kind.WHOLE, "balance", "EUR", cuts=np.array([-10.0, 0.5]))
BOUND = Feature("bound", Kind.YES_NO, "in contract", cuts=np.array([0.5]))
PLAN = Feature("plan", Kind.CATEGORY, "plan", categories=("P1", "P3"), labels={"P3": "Family"})
STATUS = Feature("status", Kind.WHOLE, "status", minimum=1.0, cuts=np.array([1.5, 2.5]), labels={"1": "active"})

TREND = Feature("trend", Kind.NUMBER, "minutes against the 3 months before", "ratio", 0.0, np.array([0.7, 1.0]))
BILL = Feature("bill", Kind.NUMBER, "monthly bill", "EUR a month", 0.0, np.array([25.5]))
DAYS_LEFT = Feature("days_left", Kind.WHOLE, "contract days left", "days", 0.0, np.array([1.0, 30.0, 60.0]))

SAYINGS = [
    (TENURE, 0, "tenure: 0 to 1 months"),
    (TENURE, 12, "tenure: 11 to 13 months"),
    (TENURE, 14, "tenure: 14 months or more"),
    (TENURE, None, "tenure: not on record"),
    (COMPLAINTS, 0, "open complaints: 0"),
    (COMPLAINTS, 1, "open complaints: 1"),
    (COMPLAINTS, 4, "open complaints: 2 or more"),
    (DROPPED, 0.01, "dropped calls: under 2 %"),
    (DROPPED, 0.03, "dropped calls: 2 to 5.5 %"),
    (DROPPED, 0.06, "dropped calls: 5.5 % or more"),
    (TREND, 0.8, "minutes against the 3 months before: 70 to 100 %"),
    (PRICE, 19.95, "monthly price: 19.95 to 1,500 EUR"),
    (PRICE, 5_000.0, "monthly price: 1,500 EUR or more"),
    (BILL, 20.0, "monthly bill: under 25.5 EUR"),
    (BALANCE, -50, "balance: at most -11 EUR"),
    (DAYS_LEFT, 0, "contract days left: 0"),
    (DAYS_LEFT, 30, "contract days left: 30 to 59"),
    (BOUND, True, "in contract: yes"),
    (BOUND, False, "in contract: no"),
    (BOUND, None, "in contract: not on record"),
    (PLAN, "P1", "plan: P1"),
    (PLAN, "P3", "plan: Family"),
    (PLAN, "P9", "plan: one never seen before"),
    (PLAN, None, "plan: not on record"),
    (STATUS, 1, "status: active"),
    (STATUS, 2, "status: 2"),
]


def alone(feature: Feature) -> Scorecard:
    """A card of one feature, each bin of which raises the risk."""
    return Scorecard(0.0, (feature,), (Term((0,), (np.arange(feature.bins),), np.ones(feature.bins)),), 0.1)


@pytest.mark.parametrize(("feature", "value", "saying"), SAYINGS)
def test_what_is_said_of_a_customer(feature: Feature, value: object, saying: str):
    card = alone(feature)
    assert words(card)[score_one(card, {feature.name: value}).raising[0]] == saying


def test_bins_that_a_pair_does_not_tell_apart_are_said_as_one():
    assert bin_words(TENURE, np.array([1, 2])) == "tenure: 0 to 10 months"
    assert bin_words(PLAN, np.array([1, 2])) == "plan: P1 or Family"


def test_of_a_pair_both_are_said():
    card = Scorecard(0.0, (TENURE, PLAN), (Term((0, 1), (np.arange(5), np.arange(4)), np.ones((5, 4))),), 0.1)
    one = score_one(card, {"tenure": 12, "plan": "P1"})
    assert words(card)[one.raising[0]] == "tenure: 11 to 13 months and plan: P1"
    assert card.term_names == ("tenure & plan",)


def test_a_place_without_a_reason_is_null_in_all_its_columns():
    found = reasons(cards.card(), np.array([1, NO_CELL, 6], dtype=np.int32))
    for column in found:
        assert column.is_null().to_pylist() == [False, True, False]
    assert found.feature.to_pylist() == ["tenure", None, "dropped"]
    assert found.log_odds.to_pylist() == [0.8, None, -0.2]


def test_only_the_texts_in_use_are_carried_along():
    found = reasons(cards.card(), np.array([1, 1, 1], dtype=np.int32))
    assert len(found.value.dictionary) == 1
    assert isinstance(found.value, pa.DictionaryArray)
