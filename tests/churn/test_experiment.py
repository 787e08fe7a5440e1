"""The lot is the same in every process and for ever, evenly spread, and one for all who live together."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from churn.experiment import FOR_EVER, Experiment, arms, held_out, points, units_of

SPRING = Experiment("holdout", 222)
KNOWN = {
    "customer C000001": 0.40884963687200426,
    "customer C000002": 0.42822936784361565,
    "household H1": 0.09192991940083017,
}
MANY = pa.array([f"customer C{number:06d}" for number in range(20_000)])


def test_a_lot_is_what_it_was_when_the_experiment_began() -> None:
    assert points(pa.array(list(KNOWN)), SPRING).tolist() == list(KNOWN.values())


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_draws_the_same_lots(seed: str) -> None:
    program = (
        "import pyarrow as pa; from churn.experiment import Experiment, points; "
        f"print(points(pa.array({list(KNOWN)}), Experiment('holdout', 222)).tolist())"
    )
    environment = os.environ | {"PYTHONHASHSEED": seed}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(list(KNOWN.values()))


def test_lots_are_evenly_spread() -> None:
    counts, _ = np.histogram(points(MANY, SPRING), bins=20, range=(0, 1))
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize("other", [Experiment("holdout", 223), Experiment("traffic", 222), Experiment("holdout")])
def test_another_name_or_period_deals_anew(other: Experiment) -> None:
    assert abs(np.corrcoef(points(MANY, SPRING), points(MANY, other))[0, 1]) < 0.03


def test_a_lot_depends_on_nothing_but_the_unit() -> None:
    shuffled = np.random.default_rng(7).permutation(len(MANY))
    assert (points(MANY.take(pa.array(shuffled)), SPRING) == points(MANY, SPRING)[shuffled]).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_so_large_a_share_is_held_out(share: float) -> None:
    assert held_out(MANY, SPRING, share).mean() == pytest.approx(share, abs=0.01)


def test_a_larger_share_holds_out_the_same_customers_and_more() -> None:
    assert not (held_out(MANY, SPRING, 0.1) & ~held_out(MANY, SPRING, 0.2)).any()


def test_arms_have_their_shares() -> None:
    counts = np.bincount(arms(MANY, SPRING, [8, 1, 1])) / len(MANY)
    assert counts == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert set(arms(MANY, SPRING, [1]).tolist()) == {0}


def test_a_period_lasts_as_long_as_its_lots_are_valid() -> None:
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 4, 1)]
    assert len({Experiment.on("holdout", day, 3_650).period for day in days}) == 1
    assert len({Experiment.on("holdout", day, 1).period for day in days}) == 3
    assert Experiment("teams").period == FOR_EVER


def test_who_lives_together_is_one_unit_and_who_lives_alone_is_his_own() -> None:
    customers, households = pa.array(["H1", "C2", "C3", "C4"]), pa.array([None, "H1", "H1", None])
    units = units_of(customers, households).to_pylist()
    assert units[1] == units[2]
    assert len({units[0], units[1], units[3]}) == 3, "a customer whose key is a household's is not of that household"
    assert len(set(units_of(customers, None).to_pylist())) == 4
