"""Service and table give one customer one score, or it is told by how much they differ, and in which column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from churn.parity import CUSTOMERS, Parity, Refused, Score, parity_of, published_score, sampled_places, told_scores
from churn.scorecard import PAIRED
from schemas.parity import ParityState

REASONS = {"tenure": 0.9, "bill": 0.5, "dropped": 0.2}
SCORE = Score("a model", 0.25, -1.0986, REASONS, {"plan": -0.3})
PAIR = PAIRED.join(("tenure", "plan"))


def off(by: float = 0.1, **changes: dict[str, float]) -> Score:
    """The score by somebody who takes a column otherwise."""
    return replace(SCORE, log_odds=SCORE.log_odds + by, **changes)


def without(term: str, **more: float) -> dict[str, float]:
    return {name: size for name, size in REASONS.items() if name != term} | more


def held(*told: Score | Refused) -> Parity:
    return parity_of([SCORE] * len(told), told)


def test_equal_scores_are_equal_and_say_of_how_many():
    found = held(*[SCORE] * 1_000)
    assert (found.state, found.compared, found.unequal, found.worst) == (ParityState.EQUAL, 1_000, 0, 0.0)
    assert str(found) == "1,000 compared, equal"


@pytest.mark.parametrize(("gap", "state"), [(9e-13, "equal"), (1.2e-12, "broken"), (np.nan, "broken")])
@pytest.mark.parametrize("number", ["probability", "log_odds"])
def test_a_trillionth_is_the_limit_for_both_numbers(number: str, gap: float, state: str):
    assert held(replace(SCORE, **{number: getattr(SCORE, number) + gap})).state == state


COLUMNS = [
    # what the service tells of some customers                                             the columns named
    ([off(reasons=REASONS | {"bill": 0.6})], ("bill",)),
    ([off(reasons=without("tenure"))], ("tenure",)),
    ([off(reasons=without("tenure", region=0.1))], ("tenure",)),  # the region was the fourth, and is third now
    ([off(reasons=without("dropped", region=0.4))], ("region",)),  # stronger than what the table has, so it is new
    ([off(reliefs={"plan": -0.4})], ("plan",)),
    ([off(reliefs={})], ("plan",)),
    ([off(reasons=REASONS | {"tenure": 1.0}), off(reasons=REASONS | {PAIR: 0.7})], ("tenure",)),
    ([off(reasons=REASONS | {PAIR: 0.7}), off(reliefs={"plan": -0.4})], ("plan",)),
    ([Refused(("region",)), Refused(("region", "bill"))], ("region", "bill")),
    ([off()], ()),  # too weak to be a reason of anybody
]


@pytest.mark.parametrize(("told", "columns"), COLUMNS)
def test_what_differs_is_named_by_its_column(told, columns):
    found = held(SCORE, *told)
    assert (found.state, found.unequal, found.columns) == ("broken", len(told), columns)


def test_a_broken_parity_says_how_many_by_how_much_and_where():
    found = held(SCORE, off(0.125, reasons=REASONS | {"bill": 0.6}))
    assert str(found) == "2 compared, 1 differ, by up to 0.125 in bill"
    assert str(held(Refused(("bill",)))) == "1 compared, 1 differ in bill"


def test_whom_another_model_scores_by_now_is_not_compared():
    moved = replace(SCORE, model="a newer one", log_odds=3.0)
    found = held(moved, moved)
    assert (found.state, str(found)) == ("not compared", "not compared: the champion moved")
    some = held(moved, SCORE)
    assert (some.state, str(some)) == ("equal", "1 compared, equal; 1 more are not compared: the champion moved")


def test_a_customer_without_a_row_in_the_table_breaks_it():
    found = parity_of([Refused(("customer_id",))], [SCORE])
    assert (found.state, found.columns, found.worst) == ("broken", ("customer_id",), None)


def test_each_run_has_a_sample_of_its_own_that_is_the_same_each_time():
    one = sampled_places(20_000, "a run")
    assert len(set(one.tolist())) == len(one) == CUSTOMERS
    assert (np.diff(one) > 0).all()
    assert one.max() > 18_000 > 2_000 > one.min()
    assert one.tolist() == sampled_places(20_000, "a run").tolist() != sampled_places(20_000, "another").tolist()
    assert sampled_places(3, "a run").tolist() == [0, 1, 2]


def test_a_row_and_an_answer_of_one_customer_are_the_same_score():
    row = {f"reason_{place}_{what}": None for place in (1, 2, 3) for what in ("feature", "log_odds")}
    row |= {"model_digest": "a model", "probability": 0.25, "log_odds": -1.0, "reason_1_feature": "bill"}
    row |= {"reason_1_log_odds": 0.5, "relief_1_feature": "plan", "relief_1_log_odds": -0.1}
    told = {"index": 0, "model": {"version": 1, "digest": "a model"}, "probability": 0.25, "log_odds": -1.0}
    told |= {"reasons": [{"feature": "bill", "log_odds": 0.5}], "reliefs": [{"feature": "plan", "log_odds": -0.1}]}
    refused = {"index": 1, "problems": [{"field": "tenure", "problem": "it is too long"}]}
    assert told_scores({"predictions": [told], "refused": [refused]}) == [published_score(row), Refused(("tenure",))]
