"""What scores alone let expect: the rate, the AUC and, by EM, how many churners there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from churn.metrics import auc, probability
from churn.score_spread import Spread, rank_correlation


@pytest.fixture(scope="module")
def log_odds() -> np.ndarray:
    return -3.5 + 0.9 * np.random.default_rng(5).standard_normal(200_000)


def test_the_spread_keeps_the_mean_and_the_middle(log_odds: np.ndarray) -> None:
    spread, chance = Spread.of(log_odds), probability(log_odds)
    assert spread.customers == 200_000
    assert spread.mean == pytest.approx(chance.mean(), rel=1e-4)
    assert [spread.below(share) for share in (0.1, 0.5, 0.99)] == pytest.approx(
        np.quantile(chance, (0.1, 0.5, 0.99)), rel=0.02
    )


def test_the_expected_auc_comes_where_the_probabilities_are_right(log_odds: np.ndarray) -> None:
    left = (np.random.default_rng(6).random(len(log_odds)) < probability(log_odds)).astype(np.int64)
    assert Spread.of(log_odds).expected_auc() == pytest.approx(auc(left, log_odds), abs=0.006)


def test_scores_that_are_alike_have_not_moved(log_odds: np.ndarray) -> None:
    spread = Spread.of(log_odds)
    assert spread.moved_from(spread) == 0.0
    assert Spread.of(log_odds + 1.0).moved_from(spread) > 0.25


def test_em_finds_how_many_churners_a_base_has_that_the_model_took_for_fewer(log_odds: np.ndarray) -> None:
    """Twice as many of those who leave, of the same kinds, and a model that was calibrated before."""
    dice = np.random.default_rng(9)
    left = dice.random(len(log_odds)) < probability(log_odds)
    trained = float(left.mean())
    richer = np.concatenate([log_odds, log_odds[left]])
    true = 2.0 * left.sum() / len(richer)
    assert Spread.of(log_odds).em_rate(trained) == pytest.approx(trained, rel=0.1)
    assert Spread.of(richer).em_rate(trained) == pytest.approx(true, rel=0.1)


def test_the_rate_is_the_one_that_em_ends_at(log_odds: np.ndarray) -> None:
    chance = probability(log_odds + 0.1)
    trained = rate = float(probability(log_odds).mean())
    for _ in range(3_000):
        churners = chance * rate / trained
        rate = float(np.mean(churners / (churners + (1.0 - chance) * (1.0 - rate) / (1.0 - trained))))
    assert Spread.of(log_odds + 0.1).em_rate(trained) == pytest.approx(rate, rel=1e-3)


def test_the_rank_correlation_is_that_of_the_textbooks_within_narrow_steps(log_odds: np.ndarray) -> None:
    other = log_odds + np.random.default_rng(7).standard_normal(len(log_odds))
    found = rank_correlation(log_odds, other)
    assert found == pytest.approx(float(spearmanr(log_odds, other).statistic), abs=1e-3)
    assert rank_correlation(log_odds, 2.0 * log_odds + 1.0) == pytest.approx(1.0, abs=1e-4)
    assert rank_correlation(log_odds, -log_odds) == pytest.approx(-1.0, abs=1e-4)


def test_scores_that_tell_nobody_apart_have_no_order(log_odds: np.ndarray) -> None:
    assert rank_correlation(log_odds, np.full(len(log_odds), -3.5)) is None


def test_scores_that_tell_but_a_few_apart_have_no_order_either() -> None:
    then, now = np.full((2, 400), -3.5)
    then[:3], now[-3:] = -2.0, -2.0
    assert rank_correlation(then, now) is None, "else three others would be strangers"
    now[:200] = -2.0
    assert rank_correlation(now, now) == pytest.approx(1.0)
