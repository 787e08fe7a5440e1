"""Small models ready to be saved: a scorecard made by hand, and classifiers that learnt from a few customers."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from functools import cache

import pyarrow as pa

from churn.estimators import Estimator
from churn.metrics import Evaluation, Line
from churn.scorecard import Scorecard
from churn.training import Trained, TrainingPlan, labels_of
from churn.training.estimators import fit_estimator
from store.artifacts import Model, model_of
from tests import cards


def scorecard() -> Model:
    """The small card as a model."""
    return model_of(trained(cards.card()), cards.contract(), "0.1.0")


@cache
def estimator(kind: str) -> Model:
    """A classifier of that kind as a model."""
    lessons = cards.lessons(600)
    plan = replace(TrainingPlan(), kind=kind, jobs=1)
    fitted = fit_estimator(lessons, labels_of(lessons), cards.contract().features, plan)
    return model_of(trained(replace(fitted, slope=0.9, shift=-0.1)), cards.contract(), "0.1.0")


def trained(model: Scorecard | Estimator, probe: pa.Table | None = None) -> Trained:
    """What a training that gave this model would say of it; the probe is of the small card's customers, or given."""
    features = model.features if isinstance(model, Scorecard) else model.inputs
    return Trained(
        model=model,
        kind="scorecard" if isinstance(model, Scorecard) else model.kind,  # type: ignore[arg-type]
        test=Evaluation(**{figure.name: 0 for figure in fields(Evaluation)}),
        split="time",
        fit_as_ofs=(date(2025, 11, 1),),
        test_as_of=date(2025, 12, 1),
        rows=1_000,
        churners=100,
        duplicates=0,
        constants=(),
        sampling_rate=1.0,
        calibration=Line(1.0, 0.0),
        data_digest="d" * 64,
        reference={},
        probe=probe or cards.customers(20).select([feature.name for feature in features]),
    )
