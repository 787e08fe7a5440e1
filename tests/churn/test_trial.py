"""Differences between the listed and those held out come with intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from churn.trial import (
    Arms,
    Interval,
    Losses,
    chi_square_p,
    customers_needed,
    loss_difference,
    risk_difference,
    sample_ratio_p,
)

SEED = 20260101
WAVES = 1_000
BASE = 0.15


def waves(listed: list[int], held_out: list[int], rates: list[float], *, cut: float = 0.0) -> Arms:
    """So many waves of the same strata, in which contacts cut churn by `cut`."""
    dice = np.random.default_rng(SEED)
    n1, n0, base = np.array(listed, float), np.array(held_out, float), np.array(rates)
    left = dice.binomial(listed, base * (1.0 - cut), (WAVES, len(listed)))
    held_out_left = dice.binomial(held_out, base, (WAVES, len(held_out)))
    shape = (WAVES, len(listed))
    return Arms(np.broadcast_to(n1, shape), left.astype(float), np.broadcast_to(n0, shape), held_out_left.astype(float))


def share_found(found: Interval) -> float:
    return float(((found.low > 0.0) | (found.high < 0.0)).mean())


def one_wave(*strata: tuple[int, int, int, int]) -> Interval:
    return risk_difference(Arms(*(np.array(column, float) for column in zip(*strata, strict=True))))


@pytest.mark.parametrize(
    ("listed", "held_out", "rates"),
    [
        ([2_033], [2_033], [BASE]),
        ([1_800], [200], [BASE]),
        ([900, 600, 300], [100, 67, 33], [0.25, 0.10, 0.05]),
        ([18] * 60, [4] * 60, [0.05, 0.10, 0.15, 0.20] * 15),  # many small strata
    ],
    ids=["even", "a tenth held out", "three strata", "sixty small strata"],
)
def test_of_1000_waves_without_an_effect_about_one_in_twenty_seems_to_have_one(listed, held_out, rates):
    assert 0.035 <= share_found(risk_difference(waves(listed, held_out, rates))) <= 0.065


@pytest.mark.parametrize(
    ("listed", "held_out", "rates"),
    [
        ([2_033], [2_033], [BASE]),
        ([500, 1_000, 533], [500, 1_000, 533], [0.25, 0.14, 0.075]),
    ],
    ids=["one stratum", "three strata"],
)
def test_a_cut_by_a_fifth_is_found_in_four_of_five_waves_of_the_size_it_needs(listed, held_out, rates):
    assert share_found(risk_difference(waves(listed, held_out, rates, cut=0.2))) >= 0.78


def test_the_size_it_needs_is_the_textbook_s():
    assert customers_needed(BASE, share=0.5) == 2 * 2_033
    assert customers_needed(BASE, share=0.1) > 2 * customers_needed(BASE, share=0.5)
    assert customers_needed(0.02, share=0.5) > 7 * customers_needed(BASE, share=0.5)


def test_the_intervals_hold_the_truth_in_19_of_20_waves():
    found = risk_difference(waves([900, 600, 300], [100, 67, 33], [0.25, 0.10, 0.05], cut=0.3))
    truth = -0.3 * np.average([0.25, 0.10, 0.05], weights=[900, 600, 300])
    assert 0.935 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.965


def test_in_one_large_stratum_the_interval_is_the_plain_one():
    found = one_wave((9_000, 900, 1_000, 150))
    spread = np.sqrt(0.10 * 0.90 / 9_000 + 0.15 * 0.85 / 1_000)
    assert found.value == pytest.approx(-0.05)
    assert found.low == pytest.approx(-0.05 - 1.96 * spread, abs=1e-3)
    assert found.high == pytest.approx(-0.05 + 1.96 * spread, abs=1e-3)


def test_strata_undo_what_an_uneven_split_would_feign():
    """High risks are listed more often, and nobody gains: pooled, the list would seem to harm."""
    found = one_wave((900, 270, 100, 30), (500, 25, 500, 25))
    assert found.value == pytest.approx(0.0)
    assert (270 + 25) / 1_400 - (30 + 25) / 600 > 0.1


def test_a_stratum_without_holdout_says_nothing():
    assert one_wave((900, 90, 100, 10), (50, 50, 0, 0)) == one_wave((900, 90, 100, 10))


def test_without_any_holdout_there_is_no_difference_to_tell():
    assert np.isnan(one_wave((900, 90, 0, 0)).value)


def test_where_nobody_left_the_interval_is_finite_and_holds_zero():
    found = one_wave((180, 0, 20, 0))
    assert found.low <= 0.0 <= found.high
    assert found.high - found.low < 0.5


def lot(listed: int, held_out: int) -> float:
    """The chance of a lot of a tenth."""
    arms = np.repeat([False, True], [listed, held_out])
    return sample_ratio_p(arms, np.full(len(arms), 0.1), np.zeros(len(arms), np.int64))


@pytest.mark.parametrize(
    ("listed", "held_out", "fair"),
    [(900, 100, True), (880, 120, True), (860, 140, False), (1_000, 0, False)],
)
def test_a_split_that_no_lot_makes_is_noticed(listed, held_out, fair):
    assert (lot(listed, held_out) >= 0.001) == fair


def test_a_fair_lot_raises_the_alarm_once_in_a_thousand_waves():
    held_out = np.random.default_rng(SEED).binomial(2_000, 0.1, 5_000)
    assert sum(lot(2_000 - count, count) < 0.001 for count in held_out.tolist()) <= 12


def test_a_fair_lot_in_many_strata_raises_it_no_oftener():
    dice = np.random.default_rng(SEED)
    share, stratum = np.full(2_000, 0.1), dice.integers(0, 20, 2_000)
    assert sum(sample_ratio_p(dice.random(2_000) < 0.1, share, stratum) < 0.001 for _ in range(2_000)) <= 7


@pytest.mark.parametrize(
    ("freedom", "statistic"), [(1, 10.828), (2, 13.816), (3, 16.266), (10, 29.588), (21, 46.797), (100, 149.449)]
)
def test_the_chances_are_those_of_the_table_of_chi_square(freedom, statistic):
    assert chi_square_p(statistic, freedom) == pytest.approx(0.001, rel=1e-3)


def losses(money: np.ndarray) -> Losses:
    """Of waves [waves, customers], each as one stratum."""
    return Losses(
        np.full((len(money), 1), money.shape[1], float),
        money.sum(axis=1, keepdims=True),
        (money**2).sum(axis=1, keepdims=True),
    )


def test_the_interval_of_money_holds_the_truth_in_19_of_20_waves():
    dice = np.random.default_rng(SEED)
    value = dice.gamma(4.0, 100.0, (WAVES, 2_000))
    lost = value * (dice.random((WAVES, 2_000)) < np.where(np.arange(2_000) < 1_600, 0.10, 0.15))
    found = loss_difference(losses(lost[:, :1_600]), losses(lost[:, 1_600:]))
    assert 0.93 <= ((found.low <= -20.0) & (found.high >= -20.0)).mean() <= 0.97


@pytest.mark.parametrize(
    ("listed", "held_out", "rate"),
    [(180, 20, 0.02), (180, 20, 0.15), (900, 100, 0.02), (4_500, 500, 0.02), (2_000, 2_000, 0.02)],
)
def test_of_waves_that_saved_nothing_at_most_one_in_twenty_seems_to_have_saved_money(listed, held_out, rate):
    """However few are held out: of twenty at 2 % nobody leaves in two waves of three."""
    dice = np.random.default_rng(SEED)
    arms = []
    for customers in (listed, held_out):
        left = dice.binomial(customers, rate, 2 * WAVES)
        value, wave = dice.gamma(4.0, 75.0, left.sum()), np.repeat(np.arange(2 * WAVES), left)
        money, squared = (np.bincount(wave, each, 2 * WAVES)[:, None] for each in (value, value**2))
        arms.append(Losses(np.full((2 * WAVES, 1), float(customers)), money, squared))
    assert share_found(loss_difference(*arms)) <= 0.065


def test_money_of_a_holdout_of_one_customer_has_no_interval():
    one = Losses(np.array([1.0]), np.array([0.0]), np.array([0.0]))
    many = Losses(np.array([10.0]), np.array([100.0]), np.array([10_000.0]))
    assert np.isnan(loss_difference(many, one).low)
