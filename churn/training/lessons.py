"""The rows to learn from: what came of each customer, copies left out, constants left out, and a digest of it all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.errors import TrainingError
from churn.labels import lot_weights
from churn.metrics import Floats, Labels
from churn.scorecard import KINDS, Kind, one_array
from churn.segments import ALL
from schemas.columns import Column, Role
from schemas.contract import Contract

AS_OF, LABEL = "as_of", "label"  # the two columns that rows to learn from have beside the customer's


class Lessons(NamedTuple):
    """Customers as they were on a date, and what came of them: 1 for a churner, 0 for a stayer; [rows].

    Each stands for `weights` of those who would be here, had nobody been called.
    """

    rows: pa.Table
    labels: Labels
    weights: Floats

    def part(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Lessons:
        """The lessons where `which` is true, or at these places."""
        rows = self.rows.filter(pa.array(which)) if which.dtype == np.bool_ else self.rows.take(pa.array(which))
        return Lessons(rows, self.labels[which], self.weights[which])

    def alike(self) -> Lessons:
        """The same lessons, each of which counts once."""
        return self._replace(weights=np.ones(len(self.labels)))


def distinct_lessons(rows: pa.Table, contract: Contract) -> Lessons:
    """The rows without their copies; TrainingError where one has no label, or copies are more than the contract says.

    Copies that nobody knows of are a fault of the feed: what it does twice for some customers, it may do wrong for all.
    """
    distinct = without_duplicates(rows)
    copies, known = rows.num_rows - distinct.num_rows, contract.training.duplicates or 0
    if copies > known:
        raise TrainingError(
            f"{copies} rows are exact copies of others, and the contract knows of {known}",
            where=f"{contract.name}, all columns",
            to_do=f"Look for what doubles them, or write `duplicates: {copies}` among the contract's training facts.",
        )
    return Lessons(distinct, labels_of(distinct), lot_weights(distinct))


def untouched(lessons: Lessons) -> Lessons:
    """Without the customers who were called: nobody knows what had come of them."""
    return lessons if lessons.weights.all() else lessons.part(lessons.weights > 0.0)


def of_segment(rows: pa.Table, contract: Contract, segment: str) -> pa.Table:
    """The rows of the segment; TrainingError where there are none, or where the contract knows no segments."""
    if segment == ALL:
        return rows
    column = contract.one(Role.SEGMENT)
    kept = rows.filter(pc.equal(rows[column.name].cast(pa.string()), segment)) if column else rows.slice(0, 0)
    if not kept.num_rows:
        raise TrainingError(
            f"no customer is of the segment {segment!r}",
            where=column.name if column else contract.name,
            to_do="Name a segment that the contract's segment column has.",
        )
    return kept


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


def inputs(rows: pa.Table, column: Column) -> npt.NDArray[Any]:
    """Float64 with NaN where missing, or the categories as objects with None where missing; [rows]."""
    values = one_array(rows, column.name)
    if KINDS[column.logical_type] is not Kind.CATEGORY:
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False))


def digest_of(rows: pa.Table) -> str:
    """The sha256 of the rows as Parquet, which has nothing in it but the values: Arrow keeps some where a null is."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata().combine_chunks(), sink, compression="none", use_dictionary=False)
    return hashlib.sha256(sink.getvalue()).hexdigest()
