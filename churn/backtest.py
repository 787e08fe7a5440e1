"""What became of a night's scores once its horizon is over: ranking, calibration and money, of all and of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.bootstrap import FEWEST_CHURNERS
from churn.campaign import Campaign
from churn.contract import arrow_schema
from churn.labels import lot_weights, with_treatment
from churn.metrics import figures_of, probability
from churn.ranking import Floats, curve_of
from churn.trial import NORMAL_95
from schemas.monitoring import BACKTEST, EVERYTHING, Diagnosis

SEGMENT = "segment"
MOST_VALUES = 60  # of a feature by whose values errors are looked for; more of them are names, not places
TOLERATED = 1.15  # times as many churners as predicted, or as few: within it a gate lets a model pass, too
AUC_LOST = 0.02  # beyond two standard errors
FEWEST_PREDICTED = 30  # churners of a night, of whom it says something if hardly anybody left

# Of these a night may have, and tells: its figures, in the order in which BI reads them.
TOLD = ("auc", "lift_10", "calibration_slope", "empc", "profit_at_capacity")


@dataclass(frozen=True, slots=True, eq=False)
class Matured:
    """A night's customers and what came of them; all [customers].

    `labels` are 1 for who left within the horizon. `weights` say how many customers each stands for: 0 where a contact
    may have changed what came. `by` has the columns that tell customers apart. Money is what `campaign` would earn, and
    `auc_before` the AUC on the model's test rows by segment, where it is known. `known_at` is up to when the source
    told who left.
    """

    contract: str
    as_of: date
    run_id: str
    model_version: int
    labels: npt.NDArray[np.int64] = field(repr=False)
    log_odds: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    by: Mapping[str, pa.DictionaryArray] = field(repr=False)
    campaign: Campaign
    auc_before: Mapping[str, float] = field(default_factory=dict)
    known_at: datetime | None = None


def untouched(customers: pa.Array, called: pa.Table) -> Floats:
    """How many customers each stands for, when none who was listed or contacted may tell what comes of itself.

    Whoever comes into a wave after the night was still there by then, so that leaving him out would leave those who
    left: of every wave those held out stand for the listed, as they do for the lessons of a model. `called` is TREATED
    of one date.
    """
    if not called.num_rows:
        return np.ones(len(customers))
    rows = pa.table({"customer_id": customers, "as_of": pa.repeat(called["as_of"][0], len(customers))})
    return lot_weights(with_treatment(rows, "customer_id", called))


def backtest_rows(night: Matured) -> pa.Table:
    """The rows of BACKTEST: all customers, each segment, and each value of the other columns."""
    rows = [_row(night, EVERYTHING, EVERYTHING, np.ones(len(night.labels), np.bool_))]
    for name, column in night.by.items():
        if name == SEGMENT:
            values = enumerate(column.dictionary.to_pylist())
            rows += [_row(night, name, value, np.asarray(column.indices) == code) for code, value in values]
        elif len(column.dictionary) <= MOST_VALUES:
            rows += _local_rows(night, name, column)
    return pa.Table.from_pylist([row for row in rows if row["customers"]], schema=arrow_schema(BACKTEST))


def apart(as_ofs: Iterable[date], days: int, most: int) -> list[date]:
    """The newest dates that lie so many days apart: nights whose horizons share no churner."""
    chosen: list[date] = []
    for as_of in sorted(as_ofs, reverse=True):
        if len(chosen) < most and (not chosen or (chosen[-1] - as_of).days >= days):
            chosen.append(as_of)
    return chosen


def diagnosis_of(row: Mapping[str, Any], *, enough: bool) -> Diagnosis:
    """What went wrong, by observed to predicted with its interval, and by the AUC against that on the test rows.

    A price rise makes more leave than was predicted, and they are those who scored high: the AUC may even rise. Where
    so few left that there is no AUC, that alone is wrong if `enough` were predicted.
    """
    level, auc, before = _level_is_wrong(row), row["auc"], row["auc_before"]
    if auc is None:
        return Diagnosis.CALIBRATION if level and enough else Diagnosis.TOO_FEW
    order = before is not None and auc + 2.0 * (row["auc_error"] or 0.0) < before - AUC_LOST
    found = {
        (True, True): Diagnosis.BOTH,
        (True, False): Diagnosis.CALIBRATION,
        (False, True): Diagnosis.DISCRIMINATION,
    }
    return found.get((level, order), Diagnosis.SOUND)


def _row(night: Matured, feature: str, value: str, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    labels, log_odds, weights = night.labels[mask], night.log_odds[mask], night.weights[mask]
    counted = _counted(labels.astype(np.float64), probability(log_odds), weights)
    counts = weights > 0.0
    churners = int(labels[counts].sum())
    figures: dict[str, float | None] = dict.fromkeys(TOLD)
    error = None
    if FEWEST_CHURNERS <= churners <= int(counts.sum()) - FEWEST_CHURNERS:
        curve = curve_of(labels[counts], log_odds[counts], weights[counts])
        measured = figures_of(curve, night.campaign)
        figures = {name: measured[name] for name in TOLD}
        error = auc_error(curve.auc(), *(_as_good_as(weights[labels == kind]) for kind in (1, 0)))
    row = _named(night, feature, value) | counted | figures
    row |= {"auc_error": error, "auc_before": night.auc_before.get(value)}
    return row | {"diagnosis": diagnosis_of(row, enough=_are_enough(weights, probability(log_odds)))}


def _local_rows(night: Matured, feature: str, column: pa.DictionaryArray) -> Iterator[dict[str, Any]]:
    """One row for each value: how many left against how many were predicted, and no more, as they are few."""
    codes, size = np.asarray(column.indices.fill_null(len(column.dictionary))), len(column.dictionary)
    sums = [
        np.bincount(codes, weights=each, minlength=size + 1)[:size]
        for each in (
            night.weights,
            night.weights * night.labels,
            night.weights * probability(night.log_odds),
            night.weights**2 * night.labels,
        )
    ]
    for value, *found in zip(column.dictionary.to_pylist(), *(each.tolist() for each in sums), strict=True):
        counted = _told(*found)
        nothing = dict.fromkeys((*TOLD, "auc_error", "auc_before"))
        wrong = _level_is_wrong(counted) and counted["churners"] >= FEWEST_CHURNERS
        said = Diagnosis.CALIBRATION if wrong else Diagnosis.TOO_FEW
        yield _named(night, feature, value) | counted | nothing | {"diagnosis": said}


def _named(night: Matured, feature: str, value: str) -> dict[str, Any]:
    return {
        "contract": night.contract,
        "as_of": night.as_of,
        "feature": feature,
        "value": value,
        "model_version": night.model_version,
        "run_id": night.run_id,
        "known_at": night.known_at,
    }


def _counted(labels: Floats, chance: Floats, weights: Floats) -> dict[str, float]:
    sums = (weights, weights * labels, weights * chance, weights**2 * labels)
    return _told(*(float(each.sum()) for each in sums))


def _told(customers: float, churners: float, expected: float, squares: float) -> dict[str, float]:
    """The counts and the ratio; its interval from what so few churners may differ by, each weighing what it weighs."""
    few = max(customers, 1.0), max(expected, 1e-9)
    spread = NORMAL_95 * sqrt(max(squares, 1.0)) / few[1]
    ratio = churners / few[1]
    return {
        "customers": customers,
        "churners": churners,
        "squares": squares,
        "observed": churners / few[0],
        "predicted": expected / few[0],
        "observed_to_predicted": ratio,
        "observed_to_predicted_low": max(ratio - spread, 0.0),
        "observed_to_predicted_high": ratio + spread,
    }


def _level_is_wrong(counted: Mapping[str, Any]) -> bool:
    ratio, low, high = (counted[f"observed_to_predicted{end}"] for end in ("", "_low", "_high"))
    return not low <= 1.0 <= high and not 1.0 / TOLERATED <= ratio <= TOLERATED


def _are_enough(weights: Floats, chance: Floats) -> bool:
    """Whether so many are predicted to leave that it says something if they do not."""
    return _as_good_as(weights, chance) >= FEWEST_PREDICTED


def _as_good_as(weights: Floats, chance: Floats | float = 1.0) -> float:
    """As good as how many customers of a weight of one these are; of each as much as the chance says."""
    squares = float((weights**2 * chance).sum())
    return float((weights * chance).sum()) ** 2 / squares if squares else 0.0


def auc_error(auc: float, churners: float, stayers: float) -> float:
    """The standard error of an AUC that rests on so many of each (Hanley and McNeil 1982, Radiology 143)."""
    of_two_churners, of_two_stayers = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    spread = auc * (1.0 - auc) + (churners - 1.0) * (of_two_churners - auc**2)
    return sqrt((spread + (stayers - 1.0) * (of_two_stayers - auc**2)) / (churners * stayers))
