"""Fits the additive model that becomes a scorecard."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from churn.binning import round_cuts
from churn.metrics import Floats, Labels
from churn.scorecard import KINDS, Kind, Scorecard, compile_ebm
from churn.training.lessons import inputs
from churn.training.plan import TrainingPlan
from schemas.columns import Column

# Bins of a feature. With 256 the reasons would split hairs, a training would take twice as long, and the AUC of the
# public data sets and of the simulator would be the same to .002.
BINS = 32


def fit(
    rows: pa.Table, labels: Labels, columns: Sequence[Column], plan: TrainingPlan, *, weights: Floats | None = None
) -> Scorecard:
    """The additive model of the rows as they are, neither calibrated nor corrected for sampling.

    Each row counts `weights` times, or once.
    The same rows and plan give the same card, whatever `plan.jobs`.
    """
    from interpret.glassbox import ExplainableBoostingClassifier  # takes seconds, which scoring must not pay

    values = {column.name: inputs(rows, column) for column in columns}
    ebm = ExplainableBoostingClassifier(
        feature_names=[column.name for column in columns],
        feature_types=[_bins_of(values[column.name], column) for column in columns],
        interactions=plan.interactions if len(columns) > 1 else 0,
        monotone_constraints=[column.monotone for column in columns],
        outer_bags=plan.outer_bags,
        max_rounds=plan.max_rounds,
        learning_rate=plan.learning_rate,
        n_jobs=plan.jobs,
        random_state=plan.seed,
    )
    with warnings.catch_warnings():
        # Missing values have a bin of their own, which our own reasons do show.
        warnings.filterwarnings("ignore", message="Missing values detected")
        ebm.fit(values, labels, sample_weight=weights)
    return compile_ebm(ebm, columns, float(labels.mean()))


def _bins_of(values: npt.NDArray[Any], column: Column) -> str | list[float]:
    """How the EBM is to cut the column: at these numbers, or into its categories."""
    kind = KINDS[column.logical_type]
    return "nominal" if kind is Kind.CATEGORY else round_cuts(values, BINS, whole=kind is not Kind.NUMBER).tolist()
