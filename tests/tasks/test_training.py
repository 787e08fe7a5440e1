"""What a training is asked for reaches its plan, and what nobody asks for comes from the contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from churn.errors import RequestError
from churn.training import TrainingPlan
from schemas.contract import TrainingFacts
from tasks.night import Course, Learning
from tasks.training import learning_of, plan_of
from tests import cards

CONTRACT = cards.contract(training=TrainingFacts(embargo_days=14))
COURSE = Course("scorecard", "default")

# asked for | in the plan
EMBARGOES = [(None, 14), (0, 0), (30, 30)]


@pytest.mark.parametrize(("asked", "kept"), EMBARGOES)
def test_an_embargo_is_the_contracts_unless_another_is_asked_for(asked: int | None, kept: int) -> None:
    course = replace(COURSE, learning=learning_of.fn(asked, None, None))
    assert plan_of(course, CONTRACT, "prepaid") == TrainingPlan(segment="prepaid", embargo_days=kept)


def test_the_month_to_test_on_and_the_rows_to_fit_on_may_be_chosen() -> None:
    learning = learning_of.fn(None, "2025-11-01", 9_000)
    assert learning == Learning(None, date(2025, 11, 1), 9_000)
    plan = plan_of(replace(COURSE, learning=learning), CONTRACT, "all")
    assert (plan.test_as_of, plan.sampled_rows) == (date(2025, 11, 1), 9_000)


def test_a_month_that_no_calendar_has_is_refused() -> None:
    with pytest.raises(RequestError, match="test_as_of: '2025-13-01' is no date"):
        learning_of.fn(None, "2025-13-01", None)
