"""How what is no scorecard learns: reproducibly, by the contract's directions, from common categories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import TrainingError
from churn.estimators import ESTIMATORS, log_odds
from churn.training import TrainingPlan, labels_of
from churn.training.estimators import FEWEST_OF_A_CATEGORY, fit_estimator
from schemas.columns import Column, LogicalType, Role
from tests import cards

COLUMNS = [column for column in cards.COLUMNS if column.has(Role.FEATURE)]
LESSONS = cards.lessons(800)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_same_lessons_give_the_same_scores_whatever_the_jobs(kind):
    first, second = (
        fit_estimator(LESSONS, labels_of(LESSONS), COLUMNS, TrainingPlan(kind=kind, jobs=jobs)) for jobs in (1, 2)
    )
    assert np.array_equal(log_odds(first, LESSONS), log_odds(second, LESSONS))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_can_learn_from_categories_alone_or_numbers_alone(kind):
    for names in (("plan",), ("tenure", "dropped")):
        columns = [column for column in COLUMNS if column.name in names]
        learnt = fit_estimator(LESSONS, labels_of(LESSONS), columns, TrainingPlan(kind=kind))
        assert tuple(feature.name for feature in learnt.inputs) == names
        assert np.isfinite(log_odds(learnt, LESSONS)).all()


def test_boosted_trees_follow_the_contracts_directions():
    falling = [replace(column, monotone=-1) if column.name == "tenure" else column for column in COLUMNS]
    learnt = fit_estimator(LESSONS, labels_of(LESSONS), falling, TrainingPlan(kind="hist_gradient_boosting", seed=1))
    one = LESSONS.slice(0, 1)
    ageing = pa.concat_tables([one] * 30).drop(["tenure"]).append_column("tenure", pa.array(np.arange(30)))
    steps = np.diff(log_odds(learnt, ageing))
    assert (steps <= 0.0).all()
    assert (steps < 0.0).any()


def test_categories_stand_in_order_of_their_risk_and_rare_ones_count_as_never_seen():
    plans = ["calm"] * 100 + ["risky"] * 100 + ["middling"] * 100 + ["rare"] * (FEWEST_OF_A_CATEGORY - 1) + [None] * 30
    labels = np.zeros(len(plans), np.int64)
    labels[100:180] = labels[200:240] = labels[300:349] = 1
    column = Column("plan", LogicalType.STRING, "plan", labels=("Calm plan",), allowed=("calm",))
    learnt = fit_estimator(pa.table({"plan": plans}), labels, [column], TrainingPlan(kind="random_forest"))
    assert learnt.inputs[0].categories == ("calm", "middling", "risky")
    assert learnt.inputs[0].labels == {"calm": "Calm plan"}


def test_a_scorecard_is_no_estimator():
    with pytest.raises(TrainingError, match="no estimator is called scorecard"):
        fit_estimator(LESSONS, labels_of(LESSONS), COLUMNS, TrainingPlan())


@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")  # of shap's drawings, at its import
def test_shap_still_misreads_native_categorical_splits():
    """When this fails, boosted trees may split categories their own way, and `_categories` need not order them."""
    import shap
    from sklearn.ensemble import HistGradientBoostingClassifier

    dice = np.random.default_rng(1)
    matrix = np.column_stack([dice.normal(size=1_000), dice.integers(1, 9, 1_000)])
    labels = (dice.random(1_000) < np.where(np.isin(matrix[:, 1], [1, 4, 6]), 0.7, 0.2)).astype(np.int64)
    trees = HistGradientBoostingClassifier(max_iter=10, categorical_features=[1], random_state=1).fit(matrix, labels)
    explainer = shap.TreeExplainer(trees)
    explained = explainer.shap_values(matrix).sum(axis=1) + explainer.expected_value
    assert np.abs(explained - trees.decision_function(matrix)).max() > 0.1
