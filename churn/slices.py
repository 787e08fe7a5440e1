"""A judged model's figures with their intervals, of all customers and of parts of them, and its curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow.compute as pc

from churn.bootstrap import intervals
from churn.judging import Judged
from churn.labels import ARM, HELD_OUT
from churn.metrics import figures_of, probability
from churn.ranking import curve_of, ranked
from schemas.contract import Contract
from schemas.manifest import CalibrationPoint, Figure, GainsPoint, SliceEntry

CALIBRATION_POINTS = 10
GAINS_POINTS = 20


def figures_with_intervals(judged: Judged) -> dict[str, Figure]:
    """The figures of an Evaluation, without the counts, and their 95 % intervals where there are churners enough."""
    ranking = ranked(judged.labels, judged.log_odds)
    figures = figures_of(ranking.curve(judged.weights), judged.campaign)
    if not judged.tellable:
        return {name: Figure(value=value) for name, value in figures.items()}
    ends = intervals(lambda counts: figures_of(ranking.curve(counts), judged.campaign), judged.labels, judged.weights)
    return {name: Figure(value=value, low=ends[name][0], high=ends[name][1]) for name, value in figures.items()}


def slices_by_segment(judged: Judged, contract: Contract) -> tuple[SliceEntry, ...]:
    """The figures on each segment; none on those with too few churners, which are only counted."""
    parts = ((name, judged.part(mask)) for name, mask in judged.segments(contract))
    return tuple(_slice("segment", name, part, _figures(part)) for name, part in parts)


def slice_of_month(judged: Judged, figures: Mapping[str, Figure] | None = None) -> SliceEntry:
    """The figures on the customers of one date, where they are not known already."""
    return _slice("month", judged.as_of.isoformat(), judged, figures or _figures(judged))


def slices_of_held_out(judged: Judged) -> tuple[SliceEntry, ...]:
    """The figures on those who were held out by lot while the labels came; none where nobody was."""
    if ARM not in judged.rows.column_names:
        return ()
    part = judged.part(pc.fill_null(pc.equal(judged.rows[ARM], HELD_OUT), False).to_numpy())
    return (_slice("arm", HELD_OUT, part, _figures(part)),) if len(part.labels) else ()


def calibration_points(judged: Judged) -> tuple[CalibrationPoint, ...]:
    """What was predicted and what came in ten equally large groups, from the safest to the riskiest."""
    groups = np.array_split(np.argsort(judged.log_odds, kind="stable"), CALIBRATION_POINTS)
    return tuple(_calibration_point(judged, group) for group in groups if len(group))


def gains_points(judged: Judged) -> tuple[GainsPoint, ...]:
    """The share of all churners among the riskiest 5, 10, … 100 % of the customers."""
    curve = curve_of(judged.labels, judged.log_odds, judged.weights)
    shares = np.arange(1, GAINS_POINTS + 1) / GAINS_POINTS
    found = [curve.churners_among(share) / float(curve.churners[-1]) for share in shares]
    return tuple(GainsPoint(customers=share, churners=one) for share, one in zip(shares.tolist(), found, strict=True))


def _figures(judged: Judged) -> Mapping[str, Figure]:
    return figures_with_intervals(judged) if judged.tellable else {}


def _slice(
    by: Literal["month", "segment", "arm"], name: str, judged: Judged, figures: Mapping[str, Figure]
) -> SliceEntry:
    rows, churners = len(judged.labels), int(judged.labels.sum())
    return SliceEntry(by=by, name=name, rows=rows, churners=churners, figures=dict(figures))


def _calibration_point(judged: Judged, group: np.ndarray) -> CalibrationPoint:
    weights = judged.weights[group]
    return CalibrationPoint(
        predicted=float(np.average(probability(judged.log_odds[group]), weights=weights)),
        observed=float(np.average(judged.labels[group], weights=weights)),
        rows=len(group),
    )
