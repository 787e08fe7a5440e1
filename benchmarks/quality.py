"""How well the scorecard tells churners apart on two public data sets, beside what gives no exact look-up reasons."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from churn.estimators import Estimator, log_odds, readable
from churn.evaluation import FOLDS, SEED, cross_validate
from churn.metrics import Floats, Labels, evaluate
from churn.scorecard import Kind
from churn.snapshot import TrainingWindow, midnight
from churn.training import TrainingPlan, labels_of, varying, without_duplicates
from churn.training.estimators import fit_estimator
from schemas.contract import Contract
from store.contracts import read_contract
from store.settings import read_settings
from store.snapshots import training_rows
from store.source import extract

AS_OF = date(2026, 1, 1)  # a flat table has no dates of its own, and none of the figures depends on this one

WHERE_TO_GET = {
    "ibm_telco": "data/Telco-Customer-Churn.csv of the GitHub repository IBM/telco-customer-churn-on-icp4d",
    "iranian": "the customer table of the GitHub repository Sabreen-Nazar/Iranian_Churn",
}


class Quality(NamedTuple):
    """Means over the folds: how well churners rank above stayers, and how dense in churners the top tenth is."""

    auc: float
    lift_10: float


Unseen = Callable[[pa.Table, pa.Table], Floats]  # the scores of the second rows by what the first, labelled, teach


def main() -> None:
    """Prints a table for people and a line of JSON for scripts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ibm", metavar="FILE", help=WHERE_TO_GET["ibm_telco"])
    parser.add_argument("--iranian", metavar="FILE", help=WHERE_TO_GET["iranian"])
    chosen = parser.parse_args()
    given = {"ibm_telco": chosen.ibm, "iranian": chosen.iranian}
    missing = [f"{name}: {WHERE_TO_GET[name]}" for name, file in given.items() if not (file and Path(file).exists())]
    if len(missing) == len(given):
        parser.error("\n  ".join(["no data; give --ibm FILE, --iranian FILE or both", *missing]))
    found = {name: qualities(*_read(name, file)) for name, file in given.items() if file and Path(file).exists()}
    _print(found)
    for line in missing:
        print(f"left out: {line}")
    print(json.dumps(figures(found)))


def qualities(rows: pa.Table, contract: Contract) -> dict[str, Quality]:
    """Each way of learning on the same folds of the same rows, in which no customer occurs twice."""
    ours = cross_validate(rows, contract)
    distinct = without_duplicates(rows)
    others = {"hgb": _boosted(contract), "lightgbm": _lightgbm(contract), "logistic": _logistic(contract)}
    return {
        "scorecard": Quality(ours.auc, ours.lift_10),
        **{name: _cross_validated(distinct, unseen) for name, unseen in others.items()},
    }


def figures(found: dict[str, dict[str, Quality]]) -> dict[str, float]:
    """The scorecard's under the data's short name, the others' with their own behind it."""
    return {
        f"{data.removesuffix('_telco')}{'' if way == 'scorecard' else f'_{way}'}_{figure}": round(value, 4)
        for data, ways in found.items()
        for way, quality in ways.items()
        for figure, value in quality._asdict().items()
    }


def _read(name: str, file: str) -> tuple[pa.Table, Contract]:
    """The labelled customers as the retraining reads them."""
    contract = read_contract(name)
    with tempfile.TemporaryDirectory() as folder:
        taken = extract(contract, file, read_settings({"CHURN_HOME": folder}))
        return training_rows(taken.folder, contract, TrainingWindow((AS_OF,), midnight(AS_OF))), contract


def _cross_validated(rows: pa.Table, unseen: Unseen) -> Quality:
    from sklearn.model_selection import StratifiedKFold

    labels = labels_of(rows)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(labels, labels)
    return Quality(*np.mean([_of_fold(rows, unseen, learnt, held) for learnt, held in folds], axis=0).tolist())


def _of_fold(rows: pa.Table, unseen: Unseen, learnt: Labels, held: Labels) -> Quality:
    judged = rows.take(pa.array(held))
    scores = unseen(rows.take(pa.array(learnt)), judged)
    measured = evaluate(labels_of(judged), scores)
    return Quality(measured.auc, measured.lift_10)


def _boosted(contract: Contract) -> Unseen:
    return lambda learnt, held: log_odds(_estimator(learnt, contract, "hist_gradient_boosting"), held)


def _logistic(contract: Contract) -> Unseen:
    return lambda learnt, held: log_odds(_estimator(learnt, contract, "logistic_regression"), held)


def _lightgbm(contract: Contract) -> Unseen:
    """Of the same size and pace as our own boosted trees, and with its own way of splitting categories."""
    import lightgbm

    def unseen(learnt: pa.Table, held: pa.Table) -> Floats:
        inputs = _estimator(learnt, contract, "logistic_regression").inputs
        named = [place for place, feature in enumerate(inputs) if feature.kind is Kind.CATEGORY]
        trees = lightgbm.LGBMClassifier(
            n_estimators=100, learning_rate=0.05, num_leaves=15, reg_lambda=1.0, random_state=SEED, n_jobs=1, verbose=-1
        )
        trees.fit(readable(learnt, inputs), labels_of(learnt), categorical_feature=named)
        return np.asarray(trees.booster_.predict(readable(held, inputs), raw_score=True))

    return unseen


def _estimator(learnt: pa.Table, contract: Contract, kind: str) -> Estimator:
    plan = TrainingPlan(kind=kind, seed=SEED)
    return fit_estimator(learnt, labels_of(learnt), varying(learnt, contract.features), plan)


def _print(found: dict[str, dict[str, Quality]]) -> None:
    table = Table("data", "way of learning", "AUC", "lift of the top tenth", title=f"{FOLDS} folds, seed {SEED}")
    for data, ways in found.items():
        for way, quality in ways.items():
            table.add_row(data, way, f"{quality.auc:.4f}", f"{quality.lift_10:.2f}")
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
