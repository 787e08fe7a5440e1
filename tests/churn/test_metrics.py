"""The figures agree with reference values and with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from churn import metrics


@pytest.fixture
def labels_and_log_odds() -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(3)
    log_odds = np.round(dice.normal(-2.0, 1.0, 20_000), 2)  # rounded, so that there are ties
    return (dice.random(20_000) < metrics.probability(log_odds)).astype(np.int64), log_odds


def test_the_expected_maximum_profit_has_its_reference_values():
    labels, scores = np.array([0, 1, 0, 1, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    money = metrics.expected_profit(labels, scores)
    assert money.profit == pytest.approx(23.875593418, abs=1e-9)
    assert money.share == pytest.approx(0.874370076, abs=1e-9)


def test_the_expected_maximum_profit_is_the_mean_of_the_best_profit_over_acceptances(labels_and_log_odds):
    labels, scores = labels_and_log_odds[0][:400], labels_and_log_odds[1][:400]
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)
    churners = np.append(0, np.cumsum(labels[order])[ends]) / 400
    stayers = np.append(0, np.cumsum(1 - labels[order])[ends]) / 400
    gamma = np.random.default_rng(1).beta(*metrics.ACCEPTANCE, 100_000)
    best = np.max([gamma * 190 * c - c - 11 * s for c, s in zip(churners, stayers, strict=True)], axis=0)
    assert metrics.expected_profit(labels, scores).profit == pytest.approx(best.mean(), rel=0.02)


def test_ranking_figures_agree_with_scikit_learn_where_scores_tie(labels_and_log_odds):
    labels, scores = labels_and_log_odds
    assert metrics.auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    expected = reference.average_precision_score(labels, scores)
    assert metrics.average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_losses_agree_with_scikit_learn(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    chance = metrics.probability(log_odds)
    figures = metrics.evaluate(labels, log_odds)
    assert figures.log_loss == pytest.approx(reference.log_loss(labels, chance), abs=1e-12)
    assert figures.brier == pytest.approx(reference.brier_score_loss(labels, chance), abs=1e-12)


def test_lift_counts_the_churners_among_those_who_score_highest():
    labels = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert metrics.lift(labels, np.arange(10.0)[::-1], 0.10) == pytest.approx(5.0)
    assert metrics.lift(labels, np.arange(10.0), 0.10) == 0.0


def test_the_calibration_line_undoes_a_distortion(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    line = metrics.calibration_line(labels, 2.0 * log_odds + 1.0)
    assert line.slope == pytest.approx(0.5, abs=0.03)
    assert line.shift == pytest.approx(-0.5, abs=0.08)
    mended = metrics.evaluate(labels, line.slope * (2.0 * log_odds + 1.0) + line.shift)
    assert mended.predicted == pytest.approx(mended.observed, abs=1e-9)
    assert mended.ece < 0.01


def test_the_interval_holds_the_figure_and_narrows_with_more_rows(labels_and_log_odds):
    labels, scores = labels_and_log_odds
    low, high = metrics.interval(metrics.auc, labels, scores, draws=50)
    assert low < metrics.auc(labels, scores) < high
    few_low, few_high = metrics.interval(metrics.auc, labels[:2_000], scores[:2_000], draws=50)
    assert few_high - few_low > high - low
