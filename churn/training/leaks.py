"""Columns that know the future give themselves away: alone they rank churners too well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from churn.errors import TrainingError
from churn.metrics import Labels, auc
from churn.scorecard import KINDS, Kind
from churn.training.lessons import Lessons, inputs
from schemas.columns import Column

# A single column that ranks churners this well knows the future.
LEAK_AUC = 0.95


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
    """How well one column ranks the churners, whichever way round and wherever its missing values stand."""
    values = inputs(rows, column)
    if KINDS[column.logical_type] is Kind.CATEGORY:
        _, group = np.unique(np.where(values == None, "", values).astype(str), return_inverse=True)  # noqa: E711
        return auc(labels, (np.bincount(group, labels) / np.bincount(group))[group])
    ends = (auc(labels, np.where(np.isnan(values), end, values)) for end in (-np.inf, np.inf))
    return max(max(one, 1.0 - one) for one in ends)
