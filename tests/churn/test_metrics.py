"""The figures agree with reference values and with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from churn import metrics
from churn.bootstrap import intervals
from churn.campaign import PUBLISHED, Campaign, best_campaign, hull_of, profit_at_capacity
from churn.ranking import curve_of, ranked


def customers(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the log-odds that they were drawn from, rounded so that there are ties."""
    dice = np.random.default_rng(seed)
    log_odds = np.round(dice.normal(-2.0, 1.0, n), 2)
    return (dice.random(n) < metrics.probability(log_odds)).astype(np.int64), log_odds


@pytest.fixture
def labels_and_log_odds() -> tuple[np.ndarray, np.ndarray]:
    return customers(20_000)


def test_the_expected_maximum_profit_has_its_reference_values():
    labels, scores = np.array([0, 1, 0, 1, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    money = best_campaign(curve_of(labels, scores))
    assert money.profit == pytest.approx(23.875593418, abs=1e-9)
    assert money.share == pytest.approx(0.874370076, abs=1e-9)


def test_the_expected_maximum_profit_is_the_mean_of_the_best_profit_over_acceptances():
    labels, scores = customers(400)
    curve = curve_of(labels, scores)
    gamma = np.random.default_rng(1).beta(PUBLISHED.accepting, PUBLISHED.refusing, 100_000)
    ends = zip(curve.churners / 400, curve.stayers / 400, strict=True)
    best = np.max([gamma * 190 * c - c - 11 * s for c, s in ends], axis=0)
    assert best_campaign(curve).profit == pytest.approx(best.mean(), rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_no_point_of_the_curve_lies_beyond_its_hull(seed):
    labels, scores = customers(500, seed)
    counts = np.random.default_rng(seed).integers(0, 4, 500).astype(float)
    curve = curve_of(labels, scores, counts)
    hull = hull_of(curve)
    slopes = np.diff(hull[:, 1]) / np.diff(hull[:, 0])
    assert (np.diff(slopes) > 0.0).all()
    stayers = np.interp(curve.churners, hull[:, 0], hull[:, 1])
    assert (curve.stayers >= stayers - 1e-9).all()
    points = set(zip(curve.churners, curve.stayers, strict=True))
    assert all(tuple(vertex) in points for vertex in hull)


def test_profit_at_capacity_counts_what_the_contacted_bring_and_cost():
    """Of 10 customers 2 are contacted: a churner brings .3 * 190 - 1 = 56, a stayer costs 11; (56 - 11) / 10."""
    labels = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    curve = curve_of(labels, np.arange(10.0)[::-1])
    assert profit_at_capacity(curve, Campaign(capacity=0.2)) == pytest.approx(4.5)
    assert profit_at_capacity(curve, Campaign(capacity=1.0)) == pytest.approx((2 * 56 - 8 * 11) / 10)


def test_a_row_that_counts_once_changes_no_figure(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    assert metrics.evaluate(labels, log_odds, np.ones(len(labels))) == metrics.evaluate(labels, log_odds)


def test_a_row_that_counts_three_times_is_three_rows():
    labels, log_odds = customers(2_000)
    counts = np.random.default_rng(5).integers(0, 4, 2_000)
    weighted = metrics.figures_of(curve_of(labels, log_odds, counts.astype(float)))
    repeated = metrics.figures_of(curve_of(np.repeat(labels, counts), np.repeat(log_odds, counts)))
    assert weighted == pytest.approx(repeated, abs=1e-9)


def test_the_order_of_customers_with_the_same_score_changes_no_figure():
    labels, log_odds = customers(2_000)
    mixed = np.random.default_rng(6).permutation(2_000)
    other = metrics.figures_of(curve_of(labels[mixed], log_odds[mixed]))
    assert other == pytest.approx(metrics.figures_of(curve_of(labels, log_odds)), abs=1e-12)


def test_ranking_figures_agree_with_scikit_learn_where_scores_tie(labels_and_log_odds):
    labels, scores = labels_and_log_odds
    assert metrics.auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    expected = reference.average_precision_score(labels, scores)
    assert curve_of(labels, scores).average_precision() == pytest.approx(expected, abs=1e-12)


def test_losses_agree_with_scikit_learn(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    chance = metrics.probability(log_odds)
    figures = metrics.evaluate(labels, log_odds)
    assert figures.log_loss == pytest.approx(reference.log_loss(labels, chance), abs=1e-12)
    assert figures.brier == pytest.approx(reference.brier_score_loss(labels, chance), abs=1e-12)


def test_one_chance_is_to_the_bit_that_of_a_row_of_them():
    log_odds = np.concatenate([np.random.default_rng(2).normal(0.0, 5.0, 10_000), [-800.0, 0.0, 800.0]])
    assert [metrics.chance(one) for one in log_odds.tolist()] == metrics.probability(log_odds).tolist()


def test_lift_counts_the_churners_among_those_who_score_highest():
    labels = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert curve_of(labels, np.arange(10.0)[::-1]).lift(0.10) == pytest.approx(5.0)
    assert curve_of(labels, np.arange(10.0)).lift(0.10) == 0.0


def test_the_calibration_line_undoes_a_distortion(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    line = metrics.calibration_line(labels, 2.0 * log_odds + 1.0)
    assert line.slope == pytest.approx(0.5, abs=0.03)
    assert line.shift == pytest.approx(-0.5, abs=0.08)
    mended = metrics.evaluate(labels, line.slope * (2.0 * log_odds + 1.0) + line.shift)
    assert mended.predicted == pytest.approx(mended.observed, abs=1e-9)
    assert mended.ece < 0.01


def test_the_error_of_calibration_is_the_mean_gap_of_ten_equal_groups():
    log_odds = np.repeat(np.linspace(-2.0, 2.0, 10), 100)
    labels = np.tile(np.arange(100) < 50, 10).astype(np.int64)
    expected = np.abs(metrics.probability(np.linspace(-2.0, 2.0, 10)) - 0.5).mean()
    assert metrics.evaluate(labels, log_odds).ece == pytest.approx(expected, abs=1e-12)


def figures_by_count(labels: np.ndarray, log_odds: np.ndarray):
    ranking = ranked(labels, log_odds)
    return lambda counts: metrics.figures_of(ranking.curve(counts))


def test_every_figure_lies_in_its_interval_and_the_interval_narrows_with_more_rows(labels_and_log_odds):
    labels, log_odds = labels_and_log_odds
    figures = metrics.figures_of(curve_of(labels, log_odds))
    wide, narrow = (
        intervals(figures_by_count(labels[:n], log_odds[:n]), labels[:n], np.ones(n), draws=50) for n in (2_000, 20_000)
    )
    for name in set(figures) - {"ece"}:  # a mean of absolute gaps: in a draw the noise adds up
        assert narrow[name][0] < figures[name] < narrow[name][1], name
        assert narrow[name][1] - narrow[name][0] < wide[name][1] - wide[name][0], name


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """An AUC interval of 95 % from each of 60 samples of 400; below 85 % or always would be chance once in 10,000."""
    truth = metrics.auc(*customers(200_000, 99))
    held = []
    for seed in range(60):
        labels, log_odds = customers(400, seed)
        ranking = ranked(labels, log_odds)
        drawn = intervals(lambda counts, one=ranking: {"auc": one.curve(counts).auc()}, labels, np.ones(400), draws=100)
        held.append(drawn["auc"][0] <= truth <= drawn["auc"][1])
    assert np.mean(held) >= 0.85


def test_a_draw_has_churners_and_stayers_however_few_there_are():
    labels = np.array([1] + [0] * 30)
    found = intervals(lambda counts: {"churners": float(counts[0])}, labels, np.ones(31), draws=20)
    assert found["churners"][0] >= 1.0
