"""Which rows a model is fitted on, calibrated on and tested on: apart in time, or by chance where there is one date."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.errors import TrainingError
from churn.metrics import Labels
from churn.training.lessons import AS_OF, Lessons
from churn.training.plan import TrainingPlan
from schemas.contract import Contract

OUT_OF_TIME = "out of time"  # how rows were told apart where the dates reach

Mask = npt.NDArray[np.bool_]

# With fewer churners than this, shapes and calibration are noise.
FEWEST_CHURNERS_TO_FIT = 30
FEWEST_CHURNERS_HELD_OUT = 5

# Where one snapshot allows no split by time: shares of the rows to fit on and to calibrate on; the rest is the test.
FIT_SHARE, CALIBRATION_SHARE = 0.70, 0.15


class Split(NamedTuple):
    """Which rows are to fit on, to calibrate on and to test on, and how they were told apart."""

    fit: Mask
    calibrate: Mask
    test: Mask
    kind: str

    @property
    def held_out(self) -> Mask:
        """The rows that the shapes were not fitted on."""
        return self.calibrate | self.test


def split_lessons(lessons: Lessons, contract: Contract, plan: TrainingPlan) -> Split:
    """The newest as_of is the test, the newest that had matured by then calibrates, and those matured by then fit.

    Where the dates do not reach, the rows are split by chance. TrainingError where a part has too few churners.
    """
    split = _out_of_time(lessons.rows[AS_OF], contract, plan) or _stratified(lessons.labels, plan.seed)
    _refuse_few_churners(lessons.labels, split)
    return split


def _out_of_time(as_of: pa.ChunkedArray, contract: Contract, plan: TrainingPlan) -> Split | None:
    days = as_of.to_numpy().astype("datetime64[D]")
    test = np.datetime64(plan.test_as_of) if plan.test_as_of else days.max()
    wait = np.timedelta64(contract.horizon_days + plan.embargo_days, "D")
    matured = days[days + wait <= test]
    if not len(matured):
        return None
    newest = matured.max()
    fitted = days + wait <= newest
    return Split(fitted, days == newest, days == test, OUT_OF_TIME) if fitted.any() else None


def _stratified(labels: Labels, seed: int) -> Split:
    dice = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for kind in (0, 1):
        rows = np.flatnonzero(labels == kind)
        place[rows] = (dice.permutation(len(rows)) + 0.5) / len(rows)
    calibrated = FIT_SHARE + CALIBRATION_SHARE
    return Split(
        place < FIT_SHARE, (place >= FIT_SHARE) & (place < calibrated), place >= calibrated, "stratified hold-out"
    )


def _refuse_few_churners(labels: Labels, split: Split) -> None:
    for rows, fewest, purpose in (
        (split.fit, FEWEST_CHURNERS_TO_FIT, "fit on"),
        (split.calibrate, FEWEST_CHURNERS_HELD_OUT, "calibrate on"),
        (split.test, FEWEST_CHURNERS_HELD_OUT, "test on"),
    ):
        churners, stayers = int(labels[rows].sum()), int((1 - labels[rows]).sum())
        if min(churners, stayers) < fewest:
            raise TrainingError(
                f"{churners} churners and {stayers} stayers to {purpose}, at least {fewest} of each are needed",
                where=split.kind,
                to_do="Give more customers or more months.",
            )
