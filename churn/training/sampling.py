"""Samples stayers where rows are too many to fit on, and says how many it kept, so that the odds can be corrected."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from churn.training.lessons import Lessons
from churn.training.plan import TrainingPlan


class Sample(NamedTuple):
    """Lessons, in their order, and the share of the stayers that are among them."""

    lessons: Lessons
    rate: float


def sampled(lessons: Lessons, plan: TrainingPlan) -> Sample:
    """Every churner and, where rows are too many, as many stayers as there is room for, at least one per churner."""
    churners, stayers = (np.flatnonzero(lessons.labels == kind) for kind in (1, 0))
    kept = min(len(stayers), max(plan.sampled_rows - len(churners), len(churners)))
    drawn = np.random.default_rng(plan.seed).choice(stayers, kept, replace=False)
    places = np.sort(np.concatenate([churners, drawn]))
    return Sample(lessons.part(places), kept / len(stayers))
