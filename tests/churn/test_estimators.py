"""An estimator's log-odds and what each input contributes to them, for all three kinds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from math import factorial

import numpy as np
import pyarrow as pa
import pytest

from churn.estimators import ESTIMATORS, Estimator, contributions, inputs_of, log_odds
from churn.metrics import auc, probability
from churn.scorecard import Feature, Kind
from churn.training import TrainingPlan, labels_of
from churn.training.estimators import fit_estimator
from schemas.columns import Role
from tests import cards

LESSONS = cards.lessons(1_500)
NEW = cards.customers(300, seed=9)
EVERY_KIND = pytest.mark.parametrize("kind", ESTIMATORS)


@lru_cache
def estimator(kind: str) -> Estimator:
    """Of four inputs, as if a line had calibrated it."""
    columns = [column for column in cards.COLUMNS if column.has(Role.FEATURE)]
    raw = fit_estimator(LESSONS, labels_of(LESSONS), columns, TrainingPlan(kind=kind))
    return replace(raw, slope=1.3, shift=-0.4)


@EVERY_KIND
def test_contributions_and_one_constant_add_up_to_the_log_odds(kind):
    constants = log_odds(estimator(kind), NEW) - contributions(estimator(kind), NEW).sum(axis=0)
    np.testing.assert_allclose(constants, constants[0], rtol=0, atol=1e-6)


@EVERY_KIND
def test_an_estimator_tells_churners_apart(kind):
    later = cards.lessons(1_500, seed=5)
    assert auc(labels_of(later), log_odds(estimator(kind), later)) > 0.65


@EVERY_KIND
def test_the_line_calibrates_the_log_odds(kind):
    raw = replace(estimator(kind), slope=1.0, shift=0.0)
    np.testing.assert_allclose(log_odds(estimator(kind), NEW), 1.3 * log_odds(raw, NEW) - 0.4, rtol=1e-12)
    np.testing.assert_allclose(contributions(estimator(kind), NEW), 1.3 * contributions(raw, NEW), rtol=1e-12)


@pytest.mark.parametrize("kind", ["hist_gradient_boosting", "logistic_regression"])
def test_the_log_odds_are_the_fitted_classifiers(kind):
    fitted, matrix = estimator(kind).fitted, inputs_of(NEW, estimator(kind).inputs)
    raw = replace(estimator(kind), slope=1.0, shift=0.0)
    np.testing.assert_allclose(probability(log_odds(raw, NEW)), fitted.predict_proba(matrix)[:, 1], rtol=1e-9)


@EVERY_KIND
def test_how_the_base_is_split_changes_no_bit(kind):
    whole = log_odds(estimator(kind), NEW), contributions(estimator(kind), NEW)
    slices = [NEW.slice(start, 7) for start in range(0, NEW.num_rows, 7)]
    assert np.array_equal(whole[0], np.concatenate([log_odds(estimator(kind), part) for part in slices]))
    assert np.array_equal(whole[1], np.hstack([contributions(estimator(kind), part) for part in slices]))


@EVERY_KIND
def test_nobody_has_no_score_and_no_contributions(kind):
    assert log_odds(estimator(kind), NEW.slice(0, 0)).shape == (0,)
    assert contributions(estimator(kind), NEW.slice(0, 0)).shape == (4, 0)


@EVERY_KIND
@pytest.mark.parametrize(
    ("column", "unknowable"),
    [("plan", pa.array(["P10"])), ("dropped", pa.array([np.inf])), ("dropped", pa.array([1e300]))],
)
def test_what_a_model_cannot_know_scores_like_what_is_missing(kind, column, unknowable):
    place = NEW.schema.get_field_index(column)
    one = NEW.slice(3, 1)
    missing = one.set_column(place, column, pa.nulls(1, unknowable.type))
    assert log_odds(estimator(kind), one.set_column(place, column, unknowable)) == log_odds(estimator(kind), missing)


def test_boosted_contributions_are_shapley_values_over_the_trees_own_covers():
    boosted = replace(estimator("hist_gradient_boosting"), slope=1.0, shift=0.0)
    few = LESSONS.slice(0, 5)
    trees = [predictors[0].nodes for predictors in boosted.fitted._predictors]
    expected = [_shapley(trees, row) for row in inputs_of(few, boosted.inputs)]
    np.testing.assert_allclose(contributions(boosted, few).T, expected, atol=1e-9)


@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")  # of shap's drawings, at its import
def test_a_forests_contributions_are_tree_shap_stretched_by_one_positive_factor_per_customer():
    import shap

    forest = estimator("random_forest")
    few = LESSONS.slice(0, 20)
    of_share = shap.TreeExplainer(forest.fitted).shap_values(inputs_of(few, forest.inputs))[:, :, 1].T
    factors = contributions(forest, few) / of_share
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], factors.shape), rtol=1e-6)
    assert (factors > 0).all()


def test_a_forest_that_knows_only_one_answer_has_finite_log_odds_and_contributions():
    rows = pa.table({"tenure": np.arange(40.0)})
    labels = (np.arange(40) < 20).astype(np.int64)
    forest = _forest(rows, labels)
    scored = log_odds(forest, rows)
    assert np.isfinite(scored).all()
    assert auc(labels, scored) == 1.0
    np.testing.assert_allclose(np.ptp(scored - contributions(forest, rows).sum(axis=0)), 0.0, atol=1e-6)


def test_at_the_average_a_forests_contributions_cancel_out():
    rows = pa.table({"tenure": np.zeros(40)})
    forest = _forest(rows, np.tile([0, 1], 20))
    assert np.abs(contributions(forest, rows)).max() < 1e-6


def test_a_linear_contribution_is_the_distance_from_the_average_customer_learnt_from():
    added = contributions(estimator("logistic_regression"), LESSONS)
    np.testing.assert_allclose(added.mean(axis=1), 0.0, atol=1e-9)
    bound = np.array([value is True for value in LESSONS["in_contract"].to_pylist()])
    free = np.array([value is False for value in LESSONS["in_contract"].to_pylist()])
    assert added[2, bound].max() < 0.0 < added[2, free].min()


def test_an_input_is_a_number_and_a_category_its_place():
    inputs = (Feature("tenure", Kind.WHOLE, "tenure"), Feature("plan", Kind.CATEGORY, "plan", categories=("P2", "P1")))
    rows = pa.table({"tenure": pa.array([5, None, 0]), "plan": ["P1", "P9", None]})
    np.testing.assert_array_equal(inputs_of(rows, inputs), [[5.0, 2.0], [np.nan, 3.0], [0.0, np.nan]])


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="is none of"):
        replace(estimator("random_forest"), kind="neural_network")
    with pytest.raises(ValueError, match="does not fit 4 inputs"):
        replace(estimator("random_forest"), background=np.zeros(3))


def _forest(rows: pa.Table, labels: np.ndarray) -> Estimator:
    from sklearn.ensemble import RandomForestClassifier

    inputs = (Feature("tenure", Kind.NUMBER, "tenure"),)
    fitted = RandomForestClassifier(5, bootstrap=False, random_state=1).fit(inputs_of(rows, inputs), labels)
    return Estimator("random_forest", inputs, fitted, 1.0, 0.0, 0.5, np.zeros(1))


def _shapley(trees: list[np.ndarray], row: np.ndarray) -> list[float]:
    """By the definition: the mean over all orders of what each input adds to what is expected."""
    others = {place: [other for other in range(len(row)) if other != place] for place in range(len(row))}
    return [sum(_added(trees, row, place, known) for known in _subsets(others[place])) for place in range(len(row))]


def _subsets(places: list[int]) -> list[set[int]]:
    return [set(some) for size in range(len(places) + 1) for some in combinations(places, size)]


def _added(trees: list[np.ndarray], row: np.ndarray, place: int, known: set[int]) -> float:
    orders = factorial(len(known)) * factorial(len(row) - len(known) - 1) / factorial(len(row))
    return orders * sum(_expected(tree, row, known | {place}) - _expected(tree, row, known) for tree in trees)


def _expected(tree: np.ndarray, row: np.ndarray, known: set[int], at: int = 0) -> float:
    node = tree[at]
    if node["is_leaf"]:
        return float(node["value"])
    value = row[node["feature_idx"]]
    if int(node["feature_idx"]) in known:
        left = node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
        return _expected(tree, row, known, int(node["left"] if left else node["right"]))
    sides = [int(node["left"]), int(node["right"])]
    return sum(int(tree[side]["count"]) * _expected(tree, row, known, side) for side in sides) / int(node["count"])
