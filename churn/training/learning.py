"""Trains a model: what it learns from, how it is calibrated, and how it fares on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.campaign import PUBLISHED, Campaign
from churn.drift import shares
from churn.judging import Judged
from churn.metrics import Evaluation, Floats, Line, evaluate
from churn.scorecard import Scorecard, binned
from churn.segments import ALL
from churn.slices import (
    calibration_points,
    figures_with_intervals,
    gains_points,
    slice_of_month,
    slices_by_segment,
    slices_of_held_out,
)
from churn.training.additive import fit
from churn.training.calibration import (
    Model,
    at_source,
    calibrated,
    held_out_line,
    in_the_base,
    line_on,
    log_odds_of,
)
from churn.training.leaks import strongest_alone
from churn.training.lessons import (
    AS_OF,
    Lessons,
    digest_of,
    distinct_lessons,
    of_segment,
    untouched,
    varying,
)
from churn.training.plan import TrainingPlan
from churn.training.sampling import sampled
from churn.training.split import OUT_OF_TIME, Split, split_lessons
from churn.training.treatment import shaped, treatment_of
from schemas.columns import Column
from schemas.contract import Contract
from schemas.manifest import (
    CalibrationPoint,
    FallbackEntry,
    Figure,
    GainsPoint,
    ModelKind,
    Shapes,
    SliceEntry,
    TreatmentEntry,
)

# Rows that go into the artifact with their exact log-odds, so that whoever loads it can see that it still scores so.
PROBE_ROWS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model and how it came about.

    `rows`, `churners` and `fit_as_ofs` are what it was fitted on, before sampling; `test` are its figures on rows that
    nothing behind them has seen, and `judged` are those rows. `reference` has each feature's share of the base's
    customers in each of its bins. `calibration` maps the fitted model's log-odds to those of the model.
    """

    model: Model
    test: Evaluation
    split: str
    fit_as_ofs: tuple[date, ...]
    test_as_of: date
    rows: int
    churners: int
    duplicates: int
    constants: tuple[str, ...]
    sampling_rate: float
    calibration: Line
    data_digest: str
    reference: Mapping[str, Sequence[float]] = field(repr=False)
    probe: pa.Table = field(repr=False)
    judged: Judged | None = field(default=None, repr=False)
    segment: str = ALL
    kind: ModelKind = "scorecard"
    campaign: Campaign = PUBLISHED
    source_sampling_rate: float = 1.0
    embargo_days: int = 0
    strongest_alone: tuple[str, float] | None = None
    fallbacks: tuple[FallbackEntry, ...] = ()  # filled in by whoever trains all the segments
    treatment: TreatmentEntry | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict, repr=False)
    slices: tuple[SliceEntry, ...] = field(default=(), repr=False)
    calibration_points: tuple[CalibrationPoint, ...] = field(default=(), repr=False)
    gains: tuple[GainsPoint, ...] = field(default=(), repr=False)

    @property
    def card(self) -> Scorecard:
        """The model where it is a scorecard."""
        if not isinstance(self.model, Scorecard):
            raise TypeError(f"a {self.kind} is no scorecard")
        return self.model


def train(rows: pa.Table, contract: Contract, plan: TrainingPlan) -> Trained:
    """The model learnt from `rows`: the contract's customer columns, `as_of` (date32) and `label` (0 or 1).

    Where the rows also say who was in a wave (see churn.labels), it learns the risk of who is not called.
    Its figures come from a twin calibrated without the test rows. The model returned is calibrated with them, since
    they are the newest. Raises TrainingError where churners are too few, a column leaks, or nothing was learnt.
    """
    given = of_segment(rows, contract, plan.segment)
    distinct = distinct_lessons(given, contract)
    fitted = _fitted(untouched(distinct), contract, plan)
    line = at_source(held_out_line(fitted.raw, fitted.held), contract)
    stand_for = in_the_base(fitted.held, contract)
    model = calibrated(fitted.raw, fitted.held.rows, line, stand_for)
    judged = _judged(fitted, held_out_line(fitted.raw, fitted.calibrate), fitted.test, contract)
    trained = Trained(
        model=model,
        test=evaluate(judged.labels, judged.log_odds, judged.weights, plan.campaign),
        split=fitted.split.kind,
        fit_as_ofs=tuple(pc.unique(fitted.learnt.rows[AS_OF]).sort().to_pylist()),
        test_as_of=pc.max(fitted.held.rows[AS_OF]).as_py(),
        rows=len(fitted.learnt.labels),
        churners=int(fitted.learnt.labels.sum()),
        duplicates=given.num_rows - distinct.rows.num_rows,
        constants=tuple(column.name for column in contract.features if column not in fitted.columns),
        sampling_rate=fitted.sampling_rate,
        calibration=line,
        data_digest=digest_of(fitted.lessons.rows),
        reference=_reference(model, fitted.held.rows, stand_for),
        probe=fitted.held.rows.select([column.name for column in fitted.columns]).slice(0, PROBE_ROWS),
        judged=judged,
        segment=plan.segment,
        kind=plan.kind,
        campaign=plan.campaign,
        source_sampling_rate=contract.training.sampling_rate,
        embargo_days=plan.embargo_days,
        strongest_alone=fitted.strongest_alone,
        treatment=treatment_of(given, fitted.shapes),
    )
    return _with_figures(trained, judged, fitted, contract)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A model as it was fitted, neither calibrated nor corrected, and all that it was fitted on and was not."""

    raw: Model
    lessons: Lessons
    split: Split
    columns: tuple[Column, ...]
    strongest_alone: tuple[str, float] | None
    sampling_rate: float
    campaign: Campaign
    shapes: Shapes

    @property
    def learnt(self) -> Lessons:
        return self.lessons.part(self.split.fit)

    @property
    def calibrate(self) -> Lessons:
        return self.lessons.part(self.split.calibrate)

    @property
    def test(self) -> Lessons:
        return self.lessons.part(self.split.test)

    @property
    def held(self) -> Lessons:
        return self.lessons.part(self.split.held_out)


def _fitted(lessons: Lessons, contract: Contract, plan: TrainingPlan) -> _Fitted:
    split = split_lessons(lessons, contract, plan)
    learnt = lessons.part(split.fit)
    columns = varying(learnt.rows, contract.features)
    alone = strongest_alone(learnt, columns)
    sample = sampled(learnt, plan)
    raw, shapes = shaped(sample.lessons, lessons.part(split.calibrate), lambda taught: _model(taught, columns, plan))
    return _Fitted(raw, lessons, split, columns, alone, sample.rate, plan.campaign, shapes)


def _model(lessons: Lessons, columns: Sequence[Column], plan: TrainingPlan) -> Model:
    weights = lessons.weights if np.ptp(lessons.weights) else None  # the same weight for all is none
    if plan.kind == "scorecard":
        return fit(lessons.rows, lessons.labels, columns, plan, weights=weights)
    from churn.training.estimators import fit_estimator  # scikit-learn takes seconds, which a scorecard need not pay

    return fit_estimator(lessons.rows, lessons.labels, columns, plan, weights=weights)


def _judged(fitted: _Fitted, line: Line, lessons: Lessons, contract: Contract) -> Judged:
    """The lessons with the log-odds of a twin of the model that this line calibrates."""
    line = at_source(line, contract)
    log_odds = line.slope * log_odds_of(fitted.raw, lessons.rows) + line.shift
    return Judged(lessons.rows, lessons.labels, log_odds, in_the_base(lessons, contract), fitted.campaign)


def _with_figures(trained: Trained, judged: Judged, fitted: _Fitted, contract: Contract) -> Trained:
    figures = figures_with_intervals(judged)
    months = (
        (_month_before(fitted, contract), slice_of_month(judged, figures)) if fitted.split.kind == OUT_OF_TIME else ()
    )
    return replace(
        trained,
        figures=figures,
        slices=(*months, *slices_by_segment(judged, contract), *slices_of_held_out(judged)),
        calibration_points=calibration_points(judged),
        gains=gains_points(judged),
    )


def _month_before(fitted: _Fitted, contract: Contract) -> SliceEntry:
    """The other date that the shapes have not seen; its level is taken from the test, as the test's is from it."""
    line = line_on(fitted.raw, fitted.test)
    return slice_of_month(_judged(fitted, line, fitted.calibrate, contract))


def _reference(model: Model, rows: pa.Table, weights: Floats) -> dict[str, list[float]]:
    # Other models cut nothing: theirs is the share of missing values and of each category, as of a card without cuts.
    card = model if isinstance(model, Scorecard) else Scorecard(0.0, model.inputs, (), model.base_rate)
    return {
        feature.name: shares(np.bincount(bins, weights, feature.bins)).tolist()
        for feature, bins in zip(card.features, binned(card, rows), strict=True)
    }
