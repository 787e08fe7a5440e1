"""A model trained as a night trains it stays near the truth that the simulator alone knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.truth import figures, months_against_truth
from churn.simulator import Simulation
from churn.training import TrainingPlan

QUICK = TrainingPlan(outer_bags=2, sampled_rows=20_000)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder: Path = tmp_path_factory.mktemp("telecom")
    return figures(months_against_truth(Simulation(10_000, 12), folder, QUICK))


def test_the_model_ranks_within_a_tenth_of_the_oracle(found: dict[str, float]) -> None:
    assert 0.74 < found["oracle_auc"] < 0.78
    assert 0.0 < found["gap"] < 0.10


def test_as_many_are_predicted_to_leave_as_truly_would(found: dict[str, float]) -> None:
    assert found["ratio"] == pytest.approx(1.0, abs=0.10)
