"""Makes a fitted model's log-odds say how many leave: a line drawn on held-out rows, and the rate of the source."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from churn.errors import TrainingError
from churn.lookup import score
from churn.metrics import Floats, Labels, Line, calibration_line, probability
from churn.scorecard import Scorecard, centred, rescaled
from churn.training.lessons import Lessons
from schemas.contract import Contract

if TYPE_CHECKING:
    from churn.estimators import Estimator

Model: TypeAlias = "Scorecard | Estimator"


def log_odds_of(model: Model, rows: pa.Table) -> Floats:
    """The model's log-odds of each row, whatever its kind."""
    if isinstance(model, Scorecard):
        return score(model, rows).log_odds
    from churn.estimators import log_odds  # brings scikit-learn along, which a scorecard need not pay for

    return log_odds(model, rows)


def line_on(raw: Model, lessons: Lessons) -> Line:
    """The line under which the model's log-odds make the lessons likeliest."""
    return calibration_line(lessons.labels, log_odds_of(raw, lessons.rows), lessons.weights)


def held_out_line(raw: Model, held: Lessons) -> Line:
    """The line that calibrates a fitted model on held-out rows; TrainingError where it would turn the ranking round.

    It also corrects for sampled stayers, as it is drawn on unsampled rows.
    """
    line = line_on(raw, held)
    if line.slope <= 0.0:
        raise TrainingError(
            f"on {len(held.labels)} rows held out, higher scores do not mean more churners",
            where="calibration",
            to_do="Give more customers or months, or look for columns that changed their meaning.",
        )
    return line


def at_source(line: Line, contract: Contract) -> Line:
    """The line for the base that the rows came from: where its stayers had been sampled, the odds are lower by it."""
    return Line(line.slope, line.shift + log(contract.training.sampling_rate))


def in_the_base(lessons: Lessons, contract: Contract) -> Floats:
    """How many customers of the base each lesson stands for, had nobody of it been called."""
    return stood_for(lessons.labels, contract) * lessons.weights


def stood_for(labels: Labels, contract: Contract) -> Floats:
    """How many customers of the base each row stands for: a stayer for several where stayers had been sampled."""
    return np.where(labels == 1, 1.0, 1.0 / contract.training.sampling_rate)


def calibrated(raw: Model, rows: pa.Table, line: Line, weights: Floats) -> Model:
    """The model of `line`; a scorecard's terms are centred on `rows`, so that a reason compares with their mean.

    Each row counts `weights` times, as the base and not the sample is whom a customer is compared with.
    """
    if isinstance(raw, Scorecard):
        model: Model = centred(rescaled(raw, line.slope, line.shift), rows, weights)
    else:
        model = replace(raw, slope=line.slope, shift=line.shift)
    return replace(model, base_rate=float(np.average(probability(log_odds_of(model, rows)), weights=weights)))
