"""How to learn where lists called customers: whom those held out stand for, chosen by what fits the newest of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.labels import ARM, CONTACTED, HELD_OUT, LISTED, POLICY
from churn.metrics import log_loss
from churn.ranking import curve_of
from churn.training.calibration import Model, line_on, log_odds_of
from churn.training.lessons import Lessons
from schemas.manifest import Shapes, TreatmentEntry

Fit = Callable[[Lessons], Model]


class Shaped(NamedTuple):
    """A fitted model, and how those held out counted in it."""

    model: Model
    shapes: Shapes


def shaped(learnt: Lessons, calibrate: Lessons, fit: Fit) -> Shaped:
    """The likelier of two models of the lessons, calibrated: by the lot, or of the untouched, each of whom counts once.

    Few who are held out count for many who are listed, which is right on average and noisy; without that the shapes
    rest on more customers and, where what the model knows decides who is listed, are as right. Both are asked how well
    they tell who left of the base as if nobody of it had been called.
    """
    if np.ptp(learnt.weights) == 0.0:
        return Shaped(fit(learnt), "by the lot")
    found = (Shaped(fit(learnt), "by the lot"), Shaped(fit(learnt.alike()), "the untouched alike"))
    return min(found, key=lambda one: _loss(one.model, calibrate))


def treatment_of(rows: pa.Table, shapes: Shapes) -> TreatmentEntry | None:
    """Whom lists had named of rows to learn from; None where the rows do not say."""
    if ARM not in rows.column_names:
        return None
    arms = {one["values"]: one["counts"] for one in pc.value_counts(rows[ARM].combine_chunks()).to_pylist()}
    policies = sorted(pc.unique(rows[POLICY].drop_null()).to_pylist())
    counts = {name: arms.get(name, 0) for name in (LISTED, HELD_OUT, CONTACTED)}
    return TreatmentEntry(**counts, policies=tuple(policies), shapes=shapes)


def _loss(model: Model, lessons: Lessons) -> float:
    line, log_odds = line_on(model, lessons), log_odds_of(model, lessons.rows)
    return log_loss(curve_of(lessons.labels, line.slope * log_odds + line.shift, lessons.weights))
