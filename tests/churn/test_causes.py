"""A customer meets a cause or does not, and one by himself no otherwise than among all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.causes import cause_of, first_met, keep_of, questions_of
from schemas.policy import Cause, Condition
from tests.policies import CALL

NAN = float("nan")

MET = [
    # condition                         meet it              do not
    ({"equals": 2}, [2, 2.0], [1, None, NAN]),
    ({"above": 2}, [2.1, 3], [2, 1, None, NAN]),
    ({"at_least": 2}, [2, 3], [1.9, None, NAN]),
    ({"below": 2}, [1.9, -1], [2, None, NAN]),
    ({"at_most": 2}, [2, 1], [2.1, None, NAN]),
    ({"above": 1, "at_most": 2}, [1.5, 2], [1, 2.5, None]),
    ({"missing": True}, [None, NAN], [0, 1]),
    ({"missing": False}, [0, 1], [None, NAN]),
]


def cause(name: str, *when: dict[str, Any], keeps: float = 0.3) -> Cause:
    return Cause(name=name, when=tuple(Condition(**condition) for condition in when), keeps=keeps)


@pytest.mark.parametrize(("condition", "meet", "do_not"), MET)
def test_a_condition_holds_of_these_values_and_not_of_those(
    condition: dict[str, Any], meet: list[float | None], do_not: list[float | None]
) -> None:
    causes, values = [cause("such", {"column": "x"} | condition)], meet + do_not
    place = cause_of(pa.table({"x": pa.array(values, pa.float64())}), causes)
    assert place.tolist() == [0] * len(meet) + [-1] * len(do_not)
    assert [first_met({"x": value}, questions_of(causes)) is not None for value in values] == (place == 0).tolist()


def test_texts_and_truth_values_are_compared_too_whether_or_not_texts_are_encoded() -> None:
    causes = [cause("both", {"column": "plan", "equals": "basic"}, {"column": "bound", "equals": False})]
    plans, bound = pa.array(["basic", "basic", "family", None]), pa.array([False, None, False, False])
    for column in (plans, plans.dictionary_encode()):
        assert cause_of(pa.table({"plan": column, "bound": bound}), causes).tolist() == [0, -1, -1, -1]
    assert first_met({"plan": "basic", "bound": False}, questions_of(causes)) == causes[0]
    assert first_met({"plan": "basic"}, questions_of(causes)) is None


def test_the_first_cause_that_is_met_says_how_many_are_kept() -> None:
    causes = (cause("often", {"column": "x", "above": 5}, keeps=-0.1), cause("ever", {"column": "x", "above": 0}))
    keep = keep_of(pa.table({"x": [9, 3, 0]}), CALL.model_copy(update={"causes": causes}))
    np.testing.assert_array_equal(keep, [-0.1, 0.3, np.nan])


LIMITS = st.one_of(st.none(), st.floats(-3, 3))
NUMBERS = st.one_of(st.none(), st.floats(-3, 3), st.just(NAN), st.integers(-3, 3).map(float))


@given(
    rows=st.lists(st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS}), min_size=1, max_size=9),
    limits=st.lists(st.tuples(st.sampled_from("xy"), LIMITS, LIMITS), min_size=1, max_size=4),
)
def test_one_customer_meets_the_cause_that_he_meets_among_all(
    rows: list[dict[str, float | None]], limits: list[tuple[str, float | None, float | None]]
) -> None:
    causes = [
        cause(f"c{number}", {"column": column, "above": low, "at_most": high})
        for number, (column, low, high) in enumerate(limits)
    ]
    table = pa.table({name: pa.array([row[name] for row in rows], pa.float64()) for name in "xy"})
    among_all = [causes[place] if place >= 0 else None for place in cause_of(table, causes).tolist()]
    assert [first_met(row, questions_of(causes)) for row in rows] == among_all
