"""Learning a scorecard from matured snapshots, judged on customers and months that it has not seen."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.binning import round_cuts
from churn.errors import TrainingError
from churn.lookup import score
from churn.metrics import Evaluation, Labels, Line, auc, calibration_line, evaluate, probability
from churn.scorecard import KINDS, Kind, Scorecard, binned, centred, compile_ebm, one_array, rescaled
from schemas.columns import Column
from schemas.contract import Contract

AS_OF, LABEL = "as_of", "label"  # the two columns that rows to learn from have beside the customer's

# A single column that ranks churners this well knows the future.
LEAK_AUC = 0.95

# With fewer churners than this, shapes and calibration are noise.
FEWEST_CHURNERS_TO_FIT = 30
FEWEST_CHURNERS_HELD_OUT = 5

# Where one snapshot allows no split by time: shares of the rows to fit on and to calibrate on; the rest is the test.
FIT_SHARE, CALIBRATION_SHARE = 0.70, 0.15

# Bins of a feature. With 256 the reasons would split hairs, a training would take twice as long, and the AUC of the
# public data sets and of the simulator would be the same to .002.
BINS = 32

# Rows that go into the artifact with their exact log-odds, so that whoever loads it can see that it still scores so.
PROBE_ROWS = 16

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What may be chosen about a training; without `test_as_of` the newest as_of of the rows is the test.

    Where there are more than `sampled_rows` rows to fit on, stayers are sampled and the log-odds corrected for it.
    """

    # Nine months of 20,000 customers with 50 features take 10 CPU seconds like this. A second process costs more in
    # its start than it saves, eight bags instead of four or a rate of .02 take half as long again, and neither moves
    # the AUC of the two public data sets or of the simulator by more than .005.

    seed: int = 42
    interactions: int = 10
    outer_bags: int = 4
    max_rounds: int = 4_000
    learning_rate: float = 0.04
    sampled_rows: int = 50_000
    embargo_days: int = 0
    test_as_of: date | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Trained:
    """A scorecard and how it came about.

    `rows`, `churners` and `fit_as_ofs` are what it was fitted on, before sampling; `test` are its figures on rows that
    nothing behind them has seen. `reference` has each feature's share of customers in each of its bins.
    """

    card: Scorecard
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
    reference: dict[str, list[float]] = field(repr=False)
    probe: pa.Table = field(repr=False)


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


def train(rows: pa.Table, contract: Contract, plan: TrainingPlan) -> Trained:
    """The scorecard learnt from `rows`: the contract's customer columns, `as_of` (date32) and `label` (0 or 1).

    Its figures come from a card calibrated without the test rows. The card returned is calibrated with them, since
    they are the newest. Raises TrainingError where churners are too few, a column leaks, or nothing was learnt.
    """
    distinct = without_duplicates(rows)
    labels = labels_of(distinct)
    split = _split(distinct[AS_OF], labels, contract, plan)
    _refuse_few_churners(labels, split)
    learnt, held = distinct.filter(pa.array(split.fit)), distinct.filter(pa.array(split.held_out))
    columns = varying(learnt, contract.features)
    _refuse_leaks(learnt, labels[split.fit], columns)
    sample, rate = _sampled(labels[split.fit], plan)
    raw = fit(learnt.take(pa.array(sample)), labels[split.fit][sample], columns, plan)
    line = _line(raw, held, labels[split.held_out])
    card = _calibrated(raw, held, line, contract)
    return Trained(
        card=card,
        test=_judged(raw, distinct, labels, split),
        split=split.kind,
        fit_as_ofs=tuple(pc.unique(learnt[AS_OF]).sort().to_pylist()),
        test_as_of=pc.max(held[AS_OF]).as_py(),
        rows=learnt.num_rows,
        churners=int(labels[split.fit].sum()),
        duplicates=rows.num_rows - distinct.num_rows,
        constants=tuple(column.name for column in contract.features if column not in columns),
        sampling_rate=rate,
        calibration=line,
        data_digest=_digest(distinct),
        reference=_reference(card, held),
        probe=held.select([column.name for column in columns]).slice(0, PROBE_ROWS),
    )


def fit(rows: pa.Table, labels: Labels, columns: Sequence[Column], plan: TrainingPlan) -> Scorecard:
    """The additive model of the rows as they are, neither calibrated nor corrected for sampling.

    The same rows and plan give the same card, whatever `plan.jobs`.
    """
    from interpret.glassbox import ExplainableBoostingClassifier  # takes seconds, which scoring must not pay

    inputs = {column.name: _inputs(rows, column) for column in columns}
    ebm = ExplainableBoostingClassifier(
        feature_names=[column.name for column in columns],
        feature_types=[_bins_of(inputs[column.name], column) for column in columns],
        interactions=plan.interactions if len(columns) > 1 else 0,
        monotone_constraints=[column.monotone for column in columns],
        outer_bags=plan.outer_bags,
        max_rounds=plan.max_rounds,
        learning_rate=plan.learning_rate,
        n_jobs=plan.jobs,
        random_state=plan.seed,
    )
    with warnings.catch_warnings():
        # Missing values have a bin of their own, which our own reasons do show.
        warnings.filterwarnings("ignore", message="Missing values detected")
        ebm.fit(inputs, labels)
    return compile_ebm(ebm, columns, float(labels.mean()))


def without_duplicates(rows: pa.Table) -> pa.Table:
    """The rows with every exact copy after the first left out, in their order."""
    place = "first row"
    numbered = rows.append_column(place, pa.array(np.arange(rows.num_rows)))
    firsts = numbered.group_by(rows.column_names, use_threads=False).aggregate([(place, "min")])[f"{place}_min"]
    return rows if len(firsts) == rows.num_rows else rows.take(firsts.take(pc.sort_indices(firsts)))


def labels_of(rows: pa.Table) -> Labels:
    """1 for each churner and 0 for each stayer; [rows]. TrainingError where a row has no label."""
    missing = rows[LABEL].null_count
    if missing:
        raise TrainingError(f"{missing} rows have no label", where=LABEL, to_do="Train on matured rows only.")
    return np.asarray(one_array(rows, LABEL).cast(pa.int64()).to_numpy())


def varying(rows: pa.Table, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that have more than one value, a missing one counting as a value."""
    return tuple(column for column in columns if pc.count_distinct(rows[column.name], mode="all").as_py() > 1)


def _split(as_of: pa.ChunkedArray, labels: Labels, contract: Contract, plan: TrainingPlan) -> Split:
    days = as_of.to_numpy().astype("datetime64[D]")
    test = np.datetime64(plan.test_as_of) if plan.test_as_of else days.max()
    wait = np.timedelta64(contract.horizon_days + plan.embargo_days, "D")
    matured = days[days + wait <= test]
    if len(matured):
        newest = matured.max()
        fitted = days + wait <= newest
        if fitted.any():
            return Split(fitted, days == newest, days == test, "out of time")
    return _stratified(labels, plan.seed)


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


def _refuse_leaks(rows: pa.Table, labels: Labels, columns: Sequence[Column]) -> None:
    for column in columns:
        alone = auc_alone(rows, column, labels)
        if alone > LEAK_AUC:
            raise TrainingError(
                f"alone it tells churners apart with an AUC of {alone:.3f}; above {LEAK_AUC} it knows the future",
                where=column.name,
                to_do="Give the column the role `ignored` in the contract, or mend its point in time.",
            )


def auc_alone(rows: pa.Table, column: Column, labels: Labels) -> float:
    """How well one column ranks the churners, whichever way round and wherever its missing values stand."""
    values = _inputs(rows, column)
    if KINDS[column.logical_type] is Kind.CATEGORY:
        _, group = np.unique(np.where(values == None, "", values).astype(str), return_inverse=True)  # noqa: E711
        return auc(labels, (np.bincount(group, labels) / np.bincount(group))[group])
    ends = (auc(labels, np.where(np.isnan(values), end, values)) for end in (-np.inf, np.inf))
    return max(max(one, 1.0 - one) for one in ends)


def _inputs(rows: pa.Table, column: Column) -> npt.NDArray[Any]:
    """Float64 with NaN where missing, or the categories as objects with None where missing; [rows]."""
    values = one_array(rows, column.name)
    if KINDS[column.logical_type] is not Kind.CATEGORY:
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _bins_of(values: npt.NDArray[Any], column: Column) -> str | list[float]:
    """How the EBM is to cut the column: at these numbers, or into its categories."""
    kind = KINDS[column.logical_type]
    return "nominal" if kind is Kind.CATEGORY else round_cuts(values, BINS, whole=kind is not Kind.NUMBER).tolist()


def _sampled(labels: Labels, plan: TrainingPlan) -> tuple[Labels, float]:
    """The places of every churner and, where rows are too many, of a share of the stayers; and that share."""
    churners, stayers = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    kept = min(len(stayers), max(plan.sampled_rows - len(churners), len(churners)))
    drawn = np.random.default_rng(plan.seed).choice(stayers, kept, replace=False)
    return np.sort(np.concatenate([churners, drawn])), kept / len(stayers)


def _line(raw: Scorecard, held: pa.Table, labels: Labels) -> Line:
    line = calibration_line(labels, score(raw, held).log_odds)
    if line.slope <= 0.0:
        raise TrainingError(
            f"on {held.num_rows} rows held out, higher scores do not mean more churners",
            where="calibration",
            to_do="Give more customers or months, or look for columns that changed their meaning.",
        )
    return line


def _judged(raw: Scorecard, rows: pa.Table, labels: Labels, split: Split) -> Evaluation:
    """The figures on the test rows of a card that was calibrated without them."""
    line = _line(raw, rows.filter(pa.array(split.calibrate)), labels[split.calibrate])
    log_odds = score(raw, rows.filter(pa.array(split.test))).log_odds
    return evaluate(labels[split.test], line.slope * log_odds + line.shift)


def _calibrated(raw: Scorecard, held: pa.Table, line: Line, contract: Contract) -> Scorecard:
    """The line also corrects for sampled stayers, as it was drawn on unsampled rows.

    If the contract says that its stayers had been sampled before they came to us, their share moves the odds too.
    """
    shift = line.shift + float(np.log(contract.training.sampling_rate))
    card = rescaled(raw, line.slope, shift)
    base_rate = float(probability(score(card, held).log_odds).mean())
    return replace(centred(card, held), base_rate=base_rate)


def _reference(card: Scorecard, rows: pa.Table) -> dict[str, list[float]]:
    return {
        feature.name: (np.bincount(bins, minlength=feature.bins) / rows.num_rows).tolist()
        for feature, bins in zip(card.features, binned(card, rows), strict=True)
    }


def _digest(rows: pa.Table) -> str:
    """The sha256 of the rows as Parquet, which has nothing in it but the values: Arrow keeps some where a null is."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata().combine_chunks(), sink, compression="none", use_dictionary=False)
    return hashlib.sha256(sink.getvalue()).hexdigest()
