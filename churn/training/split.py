"""Which rows a model is fitted on, calibrated on and tested on: apart in time, or by chance where there is one date."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn.errors import TrainingError
from churn.metrics import Labels
from churn.training.lessons import AS_OF, Lessons
from churn.training.plan import TrainingPlan
from schemas.contract import Contract

OUT_OF_TIME = "out of time"  # how rows were told apart where the dates reach

Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]

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

    Where the dates do not reach, the rows of the newest are split by chance: of several dates the same customer would
    be fitted on and tested on. TrainingError where a part has too few churners, where nobody is of `plan.test_as_of`,
    or where the dates do not reach for an embargo that was asked for.
    """
    days = lessons.rows[AS_OF].to_numpy().astype("datetime64[D]")
    test = np.datetime64(plan.test_as_of) if plan.test_as_of else days.max()
    _refuse_unknown_date(days, test)
    split = _out_of_time(days, test, contract.horizon_days + plan.embargo_days)
    if split is None:
        _refuse_lost_embargo(plan.embargo_days, days)
        split = _stratified(lessons.labels, days == test, plan.seed)
    _refuse_few_churners(lessons.labels, split)
    return split


def _refuse_unknown_date(days: Days, test: np.datetime64) -> None:
    if not (days == test).any():
        raise TrainingError(
            f"nobody is of {test}", where="test_as_of", to_do=f"Name one of {', '.join(map(str, np.unique(days)))}."
        )


def _refuse_lost_embargo(embargo_days: int, days: Days) -> None:
    if embargo_days:
        raise TrainingError(
            f"{len(np.unique(days))} dates leave none to fit on before an embargo of {embargo_days} days",
            where="embargo_days",
            to_do="Give more months, or a shorter embargo.",
        )


def _out_of_time(days: Days, test: np.datetime64, wait_days: int) -> Split | None:
    wait = np.timedelta64(wait_days, "D")
    matured = days[days + wait <= test]
    if not len(matured):
        return None
    newest = matured.max()
    fitted = days + wait <= newest
    return Split(fitted, days == newest, days == test, OUT_OF_TIME) if fitted.any() else None


def _stratified(labels: Labels, newest: Mask, seed: int) -> Split:
    dice = np.random.default_rng(seed)
    place = np.full(len(labels), np.nan)  # which is in no part
    for kind in (0, 1):
        rows = np.flatnonzero(newest & (labels == kind))
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
