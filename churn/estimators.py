"""A fitted classifier that is no scorecard: its log-odds, and what each input contributes to them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from churn.scorecard import Feature, Floats, Kind, one_array

HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
LOGISTIC_REGRESSION = "logistic_regression"
RANDOM_FOREST = "random_forest"
ESTIMATORS = (HIST_GRADIENT_BOOSTING, LOGISTIC_REGRESSION, RANDOM_FOREST)

# A forest reads float32, where anything beyond is infinite, which scikit-learn refuses.
LARGEST = float(np.finfo(np.float32).max)

# Nearer than this to the average, a ratio of two distances is noise and its limit is used.
NO_DISTANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Log-odds are `slope` times what `fitted` says, plus `shift`.

    `inputs` have no cuts. `fitted` is a scikit-learn classifier or Pipeline that reads what `readable` gives.
    `background` is what each input adds to the score of the average customer learnt from, before calibration [inputs]:
    a linear contribution is measured from there, and TreeSHAP measures from the trees' own average, so there it is 0.
    `base_rate` is the share of churners that it was calibrated to.
    """

    kind: str
    inputs: tuple[Feature, ...]
    fitted: Any = field(repr=False)
    slope: float
    shift: float
    base_rate: float
    background: Floats = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ESTIMATORS:
            raise ValueError(f"{self.kind} is none of {', '.join(ESTIMATORS)}")
        if self.background.shape != (len(self.inputs),) or not np.isfinite(self.background).all():
            raise ValueError(f"the background does not fit {len(self.inputs)} inputs")


def log_odds(estimator: Estimator, rows: pa.Table) -> Floats:
    """The calibrated log-odds of each row; `rows` has a column for every input."""
    if not rows.num_rows:  # scikit-learn refuses to score nobody
        return np.empty(0)
    with _one_thread():
        return estimator.slope * _raw(estimator, readable(rows, estimator.inputs)) + estimator.shift


def contributions(estimator: Estimator, rows: pa.Table) -> Floats:
    """What each input adds to the log-odds of each row, [inputs, rows]; with one constant they add up to them.

    The trees' are exact TreeSHAP, path-dependent: what is unknown is averaged as the customers learnt from went.
    """
    if not rows.num_rows:
        return np.empty((len(estimator.inputs), 0))
    explain = _EXPLAIN[estimator.kind]
    with _one_thread():
        raw = explain(estimator, readable(rows, estimator.inputs))
    return np.ascontiguousarray(estimator.slope * (raw - estimator.background).T)


def inputs_of(rows: pa.Table, inputs: Sequence[Feature]) -> Floats:
    """The inputs' columns as float64 [rows, inputs], NaN where missing.

    A category is its place counted from 1, one never seen is the next after the last.
    """
    matrix = np.empty((rows.num_rows, len(inputs)))
    for place, feature in enumerate(inputs):
        matrix[:, place] = feature.numbers(one_array(rows, feature.name))
    return matrix


def readable(rows: pa.Table, inputs: Sequence[Feature]) -> Floats:
    """The same as a classifier reads it: what it cannot know, a category never seen or infinity, is missing."""
    limits = [len(feature.categories) if feature.kind is Kind.CATEGORY else LARGEST for feature in inputs]
    matrix = inputs_of(rows, inputs)
    return np.where(np.abs(matrix) <= limits, matrix, np.nan)


def _one_thread() -> AbstractContextManager[Any]:
    """Buckets are scored side by side, and threads within one would only get in their way."""
    return _thread_pools().limit(limits=1)  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _thread_pools() -> Any:
    # It knows the libraries that are loaded by now; scikit-learn's are, since whoever asks holds a fitted classifier.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _raw(estimator: Estimator, matrix: Floats) -> Floats:
    if estimator.kind == HIST_GRADIENT_BOOSTING:
        return np.asarray(estimator.fitted.decision_function(matrix))
    if estimator.kind == RANDOM_FOREST:
        return _forest_log_odds(estimator.fitted, estimator.fitted.predict_proba(matrix)[:, 1])
    # Row by row, as the last bit of the matrix product in `decision_function` depends on how many rows there are.
    return np.asarray(_linear_terms(estimator.fitted, matrix).sum(axis=1) + estimator.fitted[-1].intercept_[0])


def _forest_log_odds(forest: Any, share: Floats) -> Floats:
    """Log-odds of the trees' mean share of churners, as if half a churner and half a stayer had been met beside.

    The share rests on at least as many customers as the trees' smallest leaves hold; without those two halves, one
    that is 0 or 1 would have no log-odds.
    """
    met = forest.n_estimators * forest.min_samples_leaf
    return np.asarray(np.log(met * share + 0.5) - np.log(met * (1.0 - share) + 0.5))


def _boosting_contributions(estimator: Estimator, matrix: Floats) -> Floats:
    return np.asarray(_tree_explainer(estimator).shap_values(matrix))


def _forest_contributions(estimator: Estimator, matrix: Floats) -> Floats:
    """TreeSHAP explains a forest's share of churners, so each customer's contributions are stretched by one factor.

    It is his log-odds' distance from the average's over his share's; it is positive, so it turns no sign around.
    """
    explainer = _tree_explainer(estimator)
    of_share = np.asarray(explainer.shap_values(matrix))[:, :, 1]
    average = float(explainer.expected_value[1])
    return of_share * _stretch(estimator.fitted, of_share.sum(axis=1), average)[:, None]


def _stretch(forest: Any, distance: Floats, average: float) -> Floats:
    far = np.abs(distance) > NO_DISTANCE
    # Rounding may put a share a hair outside of 0 to 1.
    share = np.clip(average + distance, 0.0, 1.0)
    gone = _forest_log_odds(forest, share) - _forest_log_odds(forest, np.array(average))
    met = forest.n_estimators * forest.min_samples_leaf
    limit = met / (met * average + 0.5) + met / (met * (1.0 - average) + 0.5)
    return np.where(far, gone / np.where(far, distance, 1.0), limit)


def _linear_contributions(estimator: Estimator, matrix: Floats) -> Floats:
    """Each column that the pipeline makes of an input times its coefficient, added up per input."""
    summed = np.zeros((matrix.shape[1], len(matrix)))
    np.add.at(summed, _owners(estimator.fitted[0], matrix.shape[1]), _linear_terms(estimator.fitted, matrix).T)
    return summed.T


def _linear_terms(pipeline: Any, matrix: Floats) -> Floats:
    preparation, regression = pipeline
    return np.asarray(np.ascontiguousarray(preparation.transform(matrix)) * regression.coef_[0])


def _owners(preparation: Any, inputs: int) -> list[int]:
    """The input that each prepared column was made of, after which scikit-learn names it.

    Of the fourth input it makes "3" and "missingindicator_3", or "3_1.0" and "3_2.0".
    """
    names = preparation.get_feature_names_out([str(place) for place in range(inputs)])
    return [int(name.removeprefix("missingindicator_").partition("_")[0]) for name in names]


@lru_cache(maxsize=8)
def _tree_explainer(estimator: Estimator) -> Any:
    with warnings.catch_warnings():
        # The colours of shap's own drawings, which nobody here sees, are made in a way that matplotlib means to end.
        warnings.filterwarnings("ignore", message="The set_(bad|over|under) function")
        import shap  # takes seconds, which scoring without reasons must not pay

    return shap.TreeExplainer(estimator.fitted, feature_perturbation="tree_path_dependent")


_EXPLAIN = {
    HIST_GRADIENT_BOOSTING: _boosting_contributions,
    LOGISTIC_REGRESSION: _linear_contributions,
    RANDOM_FOREST: _forest_contributions,
}
