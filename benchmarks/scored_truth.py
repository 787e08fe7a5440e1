"""Simulates a telecom, scores its last months as nights do, and lays the truth beside each customer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from churn.night import matured_months
from churn.scoring import Stamp, score_rows
from churn.simulator import TRUTH_SCHEMA, Simulation, blocks
from churn.snapshot import TrainingWindow, midnight
from churn.training import TrainingPlan, train
from schemas.contract import Contract
from store.contracts import read_contract
from store.settings import read_settings
from store.simulated import write_simulation
from store.snapshots import first_as_of, latest_as_of, training_rows
from store.source import extract

TRUTH = tuple(name for name in TRUTH_SCHEMA.names if name not in ("customer_id", "month"))
BY = ("as_of", "customer_id")

# Half a year and two bags, where a night's training takes a year and four: half the time.
MONTHS_LEARNT, PLAN = 6, TrainingPlan(outer_bags=2)


def kept_or_made(simulation: Simulation, months: int, keep: Path | None) -> pa.Table:
    """`scored_months`, read from the folder `keep` where it was written there before."""
    if keep is None:
        return scored_months(simulation, months)
    file = keep / f"seed={simulation.seed}-customers={simulation.customers}-months={simulation.months}-{months}.parquet"
    if not file.exists():
        keep.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        pq.write_table(scored_months(simulation, months), part)
        part.replace(file)
    return pq.read_table(file)


def scored_months(simulation: Simulation, months: int) -> pa.Table:
    """The customers of the last `months` months: contract and score columns, `as_of`, and the columns TRUTH.

    The model is trained once, on what was known when the first of these months began. Who had left before a month,
    though nobody knew it yet, is left out: there is no truth of him.
    """
    with tempfile.TemporaryDirectory(prefix="churn-telecom-") as home:
        source, truth = Path(home) / "source", Path(home) / "truth"
        write_simulation(blocks(simulation), str(source), truth)
        contract = read_contract("telco")
        taken = extract(contract, str(source), read_settings({"CHURN_HOME": home})).folder
        known_at = midnight(latest_as_of(taken, contract))
        later = _matured(taken, contract, latest_as_of(taken, contract))[-months:]
        rows = _scored(taken, contract, later, training_rows(taken, contract, TrainingWindow(later, known_at)))
        return _with_truth(rows, pq.read_table(truth))


def _matured(extracted: Path, contract: Contract, on: date) -> tuple[date, ...]:
    first = first_as_of(extracted, contract)
    return matured_months(midnight(on), first=first, horizon_days=contract.horizon_days)


def _scored(extracted: Path, contract: Contract, months: Sequence[date], rows: pa.Table) -> pa.Table:
    window = TrainingWindow(_matured(extracted, contract, months[0])[-MONTHS_LEARNT:], midnight(months[0]))
    card = train(training_rows(extracted, contract, window), contract, PLAN).card
    scores = score_rows(card, rows, Stamp(months[0], contract, 1, ""))  # one stamp for all: their as_of is the rows'
    columns = dict(zip(scores.column_names, scores.columns, strict=True))
    return pa.table(columns | dict(zip(rows.column_names, rows.columns, strict=True)))


def _with_truth(rows: pa.Table, truth: pa.Table) -> pa.Table:
    """The rows of whom there is a truth, with it, in order of month and customer."""
    truth = truth.rename_columns({"month": "as_of"})
    return rows.join(truth, list(BY), join_type="inner").sort_by([("as_of", "ascending"), ("customer_id", "ascending")])
