"""How near a model comes to the truth that only the simulator knows: its ranking beside the oracle's, and its level."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from churn.lookup import score
from churn.metrics import Floats, Labels, auc, probability
from churn.night import matured_months
from churn.scorecard import Scorecard, one_array
from churn.simulator import Simulation, blocks
from churn.snapshot import TrainingWindow, midnight
from churn.training import TrainingPlan, labels_of, train
from schemas.contract import Contract
from store.contracts import read_contract
from store.settings import read_settings
from store.simulated import write_simulation
from store.snapshots import first_as_of, latest_as_of, training_rows
from store.source import extract

# The last months of the simulation, all of them after its last change of regime where there are 24, are for the test:
# the model is trained on what was known when they began, as a night's champion that nobody retrains.
MONTHS_AFTER_THE_TRAINING = 3


@dataclass(frozen=True, slots=True)
class Month:
    """A month that the model has not seen: who left, what it said, and the true probabilities; all [customers]."""

    as_of: date
    labels: Labels
    predicted: Floats
    truth: Floats


def main() -> None:
    """Simulates, trains, compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--seed", type=int, default=42)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        months = months_against_truth(Simulation(chosen.customers, chosen.months, chosen.seed), Path(folder))
    _print(months)
    print(json.dumps(figures(months)))


def months_against_truth(simulation: Simulation, folder: Path, plan: TrainingPlan | None = None) -> list[Month]:
    """Simulates, takes in and trains as the night does, and scores the months after the training."""
    source, truth = folder / "source", folder / "truth"
    write_simulation(blocks(simulation), str(source), truth)
    contract = read_contract("telco")
    taken = extract(contract, str(source), read_settings({"CHURN_HOME": str(folder)})).folder
    known_at = midnight(latest_as_of(taken, contract))
    months = matured_months(known_at, first=first_as_of(taken, contract), horizon_days=contract.horizon_days)
    later = months[-MONTHS_AFTER_THE_TRAINING:]
    card = _champion(taken, contract, later[0], plan or TrainingPlan())
    rows = training_rows(taken, contract, TrainingWindow(later, known_at))
    p0 = pq.read_table(truth, columns=["customer_id", "month", "p0"])
    return [_month(card, rows, p0, as_of) for as_of in later]


def figures(months: list[Month]) -> dict[str, float]:
    """The means over the months."""
    model, oracle, predicted, true_rate = np.mean([_line(month)[2:] for month in months], axis=0).tolist()
    return {
        "model_auc": round(model, 4),
        "oracle_auc": round(oracle, 4),
        "gap": round(oracle - model, 4),
        "predicted": round(predicted, 5),
        "true_rate": round(true_rate, 5),
        "ratio": round(predicted / true_rate, 4),
    }


def _champion(extract: Path, contract: Contract, night: date, plan: TrainingPlan) -> Scorecard:
    """The model that a night would train which is the first."""
    known_at = midnight(night)
    months = matured_months(known_at, first=first_as_of(extract, contract), horizon_days=contract.horizon_days)
    return train(training_rows(extract, contract, TrainingWindow(months, known_at)), contract, plan).card


def _month(card: Scorecard, rows: pa.Table, p0: pa.Table, as_of: date) -> Month:
    """Who had left before the month, though nobody knew it yet, has no true probability and is left out."""
    base = rows.filter(pc.equal(rows["as_of"], pa.scalar(as_of)))
    true = p0.filter(pc.equal(p0["month"], pa.scalar(as_of)))
    place = pc.index_in(base["customer_id"], one_array(true, "customer_id"))
    there = pc.is_valid(place)
    base = base.filter(there)
    return Month(
        as_of=as_of,
        labels=labels_of(base),
        predicted=probability(score(card, base).log_odds),
        truth=true["p0"].take(place.filter(there)).to_numpy(),
    )


def _line(month: Month) -> tuple[float, ...]:
    """Customers, leavers, the AUC of the model and of the oracle, the mean predicted and the mean true probability.

    The simulator's customers leave within the first 28 days of a month, so within the month is within the horizon.
    """
    return (
        len(month.labels),
        int(month.labels.sum()),
        auc(month.labels, month.predicted),
        auc(month.labels, month.truth),
        float(month.predicted.mean()),
        float(month.truth.mean()),
    )


def _print(months: list[Month]) -> None:
    table = Table(
        "month", "customers", "left", "model AUC", "oracle AUC", "predicted", "true", title="Against the truth"
    )
    for month in months:
        customers, left, model, oracle, predicted, true_rate = _line(month)
        texts = (f"{customers:,}", f"{left:,}", f"{model:.3f}", f"{oracle:.3f}", f"{predicted:.2%}", f"{true_rate:.2%}")
        table.add_row(f"{month.as_of:%Y-%m}", *texts)
    Console().print(table)


if __name__ == "__main__":
    main()
