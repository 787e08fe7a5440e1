"""Features are cut at round numbers, into bins that about equally many rows fall into."""

from __future__ import annotations

import numpy as np
import pytest

from churn.binning import round_cuts

DICE = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([0, 1, 2, 5], [1, 2, 3]),
        ([False, True, True], [1]),
        ([-3, 0, 0, 4], [-2, 1]),
        ([7, 7, 7], []),
        ([7, np.nan], []),
    ],
)
def test_of_a_few_whole_numbers_each_has_its_bin(values: list[float], cuts: list[float]):
    assert round_cuts(np.array(values, float), 8, whole=True).tolist() == cuts


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([9.99, 14.99, 19.99, 101.37], [10.0, 15.0, 100.0]),
        ([-0.31, -0.02, 0.29, 0.3], [-0.2, 0.0, 0.3]),
        ([0.012, 0.0171, 0.0188], [0.015, 0.018]),
    ],
)
def test_a_cut_is_the_roundest_number_between_two_values(values: list[float], cuts: list[float]):
    assert round_cuts(np.array(values), 8).tolist() == cuts


def test_round_cuts_give_bins_of_similar_size():
    values = DICE.lognormal(3.0, 1.0, 20_000)
    cuts = round_cuts(values, 32)
    sizes = np.bincount(np.searchsorted(cuts, values, side="right"))
    assert len(cuts) >= 25
    assert sizes.max() < 2.5 * len(values) / 32
    assert all(len(f"{cut:.15g}".strip("0").replace(".", "")) <= 3 for cut in cuts), "no cut needs four digits"


def test_a_value_that_most_have_leaves_the_other_bins_to_the_rest():
    values = np.concatenate([np.zeros(9_000), DICE.integers(1, 400, 1_000)])
    cuts = round_cuts(values, 16, whole=True)
    assert cuts[0] == 1.0, "0 is said as 0"
    assert len(cuts) > 10
    assert cuts[1:].max() > 300
