"""Columns that know the future give themselves away: alone they rank churners too well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from churn.errors import TrainingError
from churn.metrics import Floats, Labels, auc
from churn.ranking import Places
from churn.scorecard import KINDS, Kind
from churn.training.lessons import Lessons, inputs
from schemas.columns import Column

# A single column that ranks churners this well knows the future.
LEAK_AUC = 0.95

PARTS = 100  # a number is cut into; one that gives churners away in the middle of its range ranks nobody as it is
FOLDS = 5
SEED = 42


class Alone(NamedTuple):
    """A column, and the AUC at which it ranks churners without any other."""

    column: str
    auc: float


def strongest_alone(lessons: Lessons, columns: Sequence[Column]) -> Alone | None:
    """The column that ranks churners best alone, if there is any; TrainingError where it is too good to be honest."""
    alone = [Alone(column.name, auc_alone(lessons.rows, column, lessons.labels)) for column in columns]
    strongest = max(alone, key=lambda one: one.auc, default=None)
    if strongest and strongest.auc > LEAK_AUC:
        raise TrainingError(
            f"alone it tells churners apart with an AUC of {strongest.auc:.3f}; above {LEAK_AUC} it knows the future",
            where=strongest.column,
            to_do="Give the column the role `ignored` in the contract, or mend its point in time.",
        )
    return strongest


def auc_alone(rows: pa.Table, column: Column, labels: Labels) -> float:
    """How well one column ranks the churners: by how many left of its category or, of a number, of its part.

    Each row is ranked by the others' outcomes, so that many categories which mean nothing do not look like knowledge.
    Numbers are also ranked as they are, whichever way round and wherever the missing ones stand.
    """
    values = inputs(rows, column)
    if KINDS[column.logical_type] is Kind.CATEGORY:
        _, group = np.unique(np.where(values == None, "", values).astype(str), return_inverse=True)  # noqa: E711
        return auc(labels, _shares_elsewhere(group, labels))
    ends = (auc(labels, np.where(np.isnan(values), end, values)) for end in (-np.inf, np.inf))
    as_it_is = max(max(one, 1.0 - one) for one in ends)
    return max(as_it_is, auc(labels, _shares_elsewhere(_parts(values), labels)))


def _parts(numbers: Floats) -> Places:
    """Each number's place among PARTS of about as many rows each; 0 where it is missing."""
    known = numbers[~np.isnan(numbers)]
    cuts = np.unique(np.quantile(known, np.linspace(0.0, 1.0, PARTS + 1))) if len(known) else known
    return np.where(np.isnan(numbers), 0, np.searchsorted(cuts, numbers, side="right") + 1)


def _shares_elsewhere(group: Places, labels: Labels) -> Floats:
    """The churners' share of each row's group in the folds that it is not in; where they have none of it, of all."""
    fold, size = _folds(labels), int(group.max()) + 1
    shares = np.empty(len(labels))
    for one in range(FOLDS):
        held = fold == one
        customers = np.bincount(group[~held], minlength=size)
        churners = np.bincount(group[~held], labels[~held], size)
        share = np.divide(churners, customers, out=np.full(size, labels[~held].mean()), where=customers > 0)
        shares[held] = share[group[held]]
    return shares


def _folds(labels: Labels) -> Places:
    """A fold for each row, with as many churners in one as in the next: a fold must not be told by its share."""
    dice, fold = np.random.default_rng(SEED), np.empty(len(labels), np.int64)
    for kind in (0, 1):
        rows = np.flatnonzero(labels == kind)
        fold[rows] = dice.permutation(len(rows)) % FOLDS
    return fold
