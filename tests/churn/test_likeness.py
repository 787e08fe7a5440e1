"""A night ranks its customers as an earlier one did, unless their rows were given to others."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from churn.drift_price import Terms
from churn.likeness import FEWEST_IN_BOTH, Earlier, likeness_of
from churn.monitoring_scores import Scores
from schemas.policy import Action

THEN = date(2026, 1, 1)
CALL = Action(name="call", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="hello")
TERMS = Terms((CALL,), 50)
SEGMENTS = {"postpaid": 3_000, "prepaid": 1_000, "staff": FEWEST_IN_BOTH - 1}


@pytest.fixture(scope="module")
def tonight() -> Scores:
    many = sum(SEGMENTS.values())
    dice = np.random.default_rng(3)
    segment = np.repeat(list(SEGMENTS), list(SEGMENTS.values()))
    return Scores(
        customer_id=pa.array([f"C{number}" for number in range(many)]),
        segment=pa.array(segment.tolist()),
        log_odds=np.where(segment == "prepaid", -2.0, -4.0) + 0.7 * dice.standard_normal(many),
        customer_value=np.full(many, 300.0),
        open=np.ones(many, np.bool_),
        keep=np.full((many, 1), CALL.keep_probability),
    )


def test_the_same_customers_in_another_order_of_rows_are_the_same(tonight: Scores) -> None:
    turned = Earlier(
        THEN, tonight.customer_id.take(pa.array(np.arange(len(tonight.log_odds))[::-1])), tonight.log_odds[::-1]
    )
    found = likeness_of(tonight, turned, TERMS)
    assert found.order_kept == pytest.approx({"all": 1.0, "postpaid": 1.0, "prepaid": 1.0}), "staff are too few"
    assert (found.forgone, found.as_of) == (0.0, THEN)


def test_strangers_within_segments_are_seen_although_segments_rank_as_they_did(tonight: Scores) -> None:
    dice, then = np.random.default_rng(4), tonight.log_odds.copy()
    for first, last in ((0, 3_000), (3_000, 4_000)):
        then[first:last] = dice.permutation(then[first:last])
    found = likeness_of(tonight, Earlier(THEN, tonight.customer_id, then), TERMS)
    assert found.order_kept["all"] > 0.25
    assert max(abs(found.order_kept[name]) for name in ("postpaid", "prepaid")) < 0.1
    assert found.forgone > 0.0


def test_customers_without_a_segment_do_not_speak_for_everybody(tonight: Scores) -> None:
    """The name of everybody stands for their segment."""
    names = [name if number % 8 else "all" for number, name in enumerate(tonight.segment.to_pylist())]
    segment, then = pa.array(names), tonight.log_odds.copy()
    then[::8] = np.random.default_rng(5).permutation(then[::8])
    found = likeness_of(replace(tonight, segment=segment), Earlier(THEN, tonight.customer_id, then), TERMS)
    assert found.order_kept["all"] > 0.8


def test_who_was_not_there_says_nothing(tonight: Scores) -> None:
    half = slice(0, 1_500)
    found = likeness_of(tonight, Earlier(THEN, tonight.customer_id[half], tonight.log_odds[half]), TERMS)
    assert found.order_kept == pytest.approx({"all": 1.0, "postpaid": 1.0})
    nobody = likeness_of(tonight, Earlier(THEN, tonight.customer_id[:0], tonight.log_odds[:0]), TERMS)
    assert (nobody.order_kept, nobody.forgone) == ({}, 0.0)
