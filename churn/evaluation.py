"""Judging a way of learning on one snapshot, where no test out of time is possible."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from churn.lookup import score
from churn.metrics import Evaluation, Labels, calibration_line, evaluate
from churn.scorecard import Floats
from churn.training import TrainingPlan, fit, labels_of, varying, without_duplicates
from schemas.contract import Contract

FOLDS = 5
SEED = 42


def cross_validate(
    rows: pa.Table, contract: Contract, folds: int = FOLDS, seed: int = SEED, *, plan: TrainingPlan | None = None
) -> Evaluation:
    """Mean figures over stratified folds, each scored by a card learnt and calibrated on the others.

    `rows` are as for `training.train`; exact duplicates are left out first, or a copy would give its twin away.
    """
    distinct = without_duplicates(rows)
    labels = labels_of(distinct)
    fold = _folds(labels, folds, seed)
    raw = _unseen(distinct, labels, fold, contract, replace(plan or TrainingPlan(), seed=seed))
    return _mean([_judged(labels, raw, fold == one) for one in range(folds)])


def _folds(labels: Labels, folds: int, seed: int) -> Labels:
    from sklearn.model_selection import StratifiedKFold  # takes seconds, which scoring must not pay

    fold = np.empty(len(labels), np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(labels, labels)):
        fold[held] = number
    return fold


def _unseen(rows: pa.Table, labels: Labels, fold: Labels, contract: Contract, plan: TrainingPlan) -> Floats:
    """Each row's raw log-odds from a card that has not seen its fold."""
    log_odds = np.empty(len(labels))
    for one in np.unique(fold):
        held = fold == one
        learnt = rows.filter(pa.array(~held))
        card = fit(learnt, labels[~held], varying(learnt, contract.features), plan)
        log_odds[held] = score(card, rows.filter(pa.array(held))).log_odds
    return log_odds


def _judged(labels: Labels, raw: Floats, held: np.ndarray) -> Evaluation:
    # The other folds' scores came from cards that had not seen them either, so they may draw the line.
    line = calibration_line(labels[~held], raw[~held])
    return evaluate(labels[held], line.slope * raw[held] + line.shift)


def _mean(evaluations: list[Evaluation]) -> Evaluation:
    figures = [asdict(evaluation) for evaluation in evaluations]
    means = {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}
    rows, churners = (sum(each[name] for each in figures) for name in ("rows", "churners"))
    return Evaluation(**{**means, "rows": rows, "churners": churners})
