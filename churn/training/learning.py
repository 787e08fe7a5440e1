"""Trains a model: what it learns from, how it is calibrated, and how it fares on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.judging import Judged
from churn.metrics import Evaluation, Line, evaluate
from churn.scorecard import Scorecard, binned
from churn.segments import ALL
from churn.slices import calibration_points, figures_with_intervals, gains_points, slice_of, slices_by_segment
from churn.training.additive import fit
from churn.training.calibration import Model, at_source, calibrated, held_out_line, log_odds_of
from churn.training.leaks import strongest_alone
from churn.training.lessons import AS_OF, Lessons, digest_of, distinct_lessons, of_segment, varying
from churn.training.plan import TrainingPlan
from churn.training.sampling import sampled
from churn.training.split import OUT_OF_TIME, Split, split_lessons
from schemas.columns import Column
from schemas.contract import Contract
from schemas.manifest import CalibrationPoint, FallbackEntry, Figure, GainsPoint, ModelKind, SliceEntry

# Rows that go into the artifact with their exact log-odds, so that whoever loads it can see that it still scores so.
PROBE_ROWS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model and how it came about.

    `rows`, `churners` and `fit_as_ofs` are what it was fitted on, before sampling; `test` are its figures on rows that
    nothing behind them has seen, and `judged` are those rows. `reference` has each feature's share of customers in
    each of its bins. `calibration` maps the fitted model's log-odds to those of the model.
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
    source_sampling_rate: float = 1.0
    embargo_days: int = 0
    strongest_alone: tuple[str, float] | None = None
    fallbacks: tuple[FallbackEntry, ...] = ()  # filled in by whoever trains all the segments
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

    Its figures come from a twin calibrated without the test rows. The model returned is calibrated with them, since
    they are the newest. Raises TrainingError where churners are too few, a column leaks, or nothing was learnt.
    """
    given = of_segment(rows, contract, plan.segment)
    lessons = distinct_lessons(given)
    split = split_lessons(lessons, contract, plan)
    learnt, held = lessons.part(split.fit), lessons.part(split.held_out)
    columns = varying(learnt.rows, contract.features)
    alone = strongest_alone(learnt, columns)
    sample = sampled(learnt, plan)
    raw = _fitted(sample.lessons, columns, plan)
    line = held_out_line(raw, held)
    model = calibrated(raw, held.rows, at_source(line, contract))
    judged = _judged(raw, lessons.part(split.calibrate), lessons.part(split.test), contract)
    return Trained(
        model=model,
        test=evaluate(judged.labels, judged.log_odds, judged.weights),
        split=split.kind,
        fit_as_ofs=tuple(pc.unique(learnt.rows[AS_OF]).sort().to_pylist()),
        test_as_of=pc.max(held.rows[AS_OF]).as_py(),
        rows=len(learnt.labels),
        churners=int(learnt.labels.sum()),
        duplicates=given.num_rows - lessons.rows.num_rows,
        constants=tuple(column.name for column in contract.features if column not in columns),
        sampling_rate=sample.rate,
        calibration=line,
        data_digest=digest_of(lessons.rows),
        reference=_reference(model, held.rows),
        probe=held.rows.select([column.name for column in columns]).slice(0, PROBE_ROWS),
        judged=judged,
        segment=plan.segment,
        kind=plan.kind,
        source_sampling_rate=contract.training.sampling_rate,
        embargo_days=plan.embargo_days,
        strongest_alone=alone,
        figures=figures_with_intervals(judged),
        slices=(*_months(raw, lessons, split, contract), *slices_by_segment(judged, contract)),
        calibration_points=calibration_points(judged),
        gains=gains_points(judged),
    )


def _fitted(lessons: Lessons, columns: Sequence[Column], plan: TrainingPlan) -> Model:
    if plan.kind == "scorecard":
        return fit(lessons.rows, lessons.labels, columns, plan)
    from churn.training.challengers import fit_challenger  # scikit-learn takes seconds, which a scorecard need not pay

    return fit_challenger(lessons.rows, lessons.labels, columns, plan)


def _judged(raw: Model, calibrate: Lessons, test: Lessons, contract: Contract) -> Judged:
    """The test rows with the log-odds of a twin of the model that was calibrated on the other rows alone."""
    line = at_source(held_out_line(raw, calibrate), contract)
    weights = np.where(test.labels == 1, 1.0, 1.0 / contract.training.sampling_rate)
    return Judged(test.rows, test.labels, line.slope * log_odds_of(raw, test.rows) + line.shift, weights)


def _months(raw: Model, lessons: Lessons, split: Split, contract: Contract) -> tuple[SliceEntry, ...]:
    """The figures on each of the two dates that the shapes have not seen, with the level that the other one gives."""
    if split.kind != OUT_OF_TIME:
        return ()
    calibrate, test = lessons.part(split.calibrate), lessons.part(split.test)
    pairs = ((test, calibrate), (calibrate, test))
    months = (_judged(raw, other, one, contract) for other, one in pairs)
    return tuple(slice_of("month", month.as_of.isoformat(), month) for month in months)


def _reference(model: Model, rows: pa.Table) -> dict[str, list[float]]:
    # Other models cut nothing: theirs is the share of missing values and of each category, as of a card without cuts.
    card = model if isinstance(model, Scorecard) else Scorecard(0.0, model.inputs, (), model.base_rate)
    return {
        feature.name: (np.bincount(bins, minlength=feature.bins) / rows.num_rows).tolist()
        for feature, bins in zip(card.features, binned(card, rows), strict=True)
    }
