"""Causes: which of an action's a customer meets, and what share of leavers the action then keeps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.policy import Action, Cause, Condition

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int16]

NO_CAUSE = -1

_IN_COLUMNS = {  # functions of pyarrow.compute
    "equals": "equal",
    "above": "greater",
    "at_least": "greater_equal",
    "below": "less",
    "at_most": "less_equal",
}
_IN_ONE: dict[str, Callable[[Any, Any], bool]] = {
    "equals": operator.eq,
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


def cause_of(rows: pa.Table, causes: Sequence[Cause]) -> Places:
    """The place of the first of the causes that each customer meets, NO_CAUSE where he meets none; [n].

    `rows` has the columns that the causes look at.
    """
    place = np.full(rows.num_rows, NO_CAUSE, np.int16)
    for number, cause in reversed(list(enumerate(causes))):
        place[_met(rows, cause)] = number
    return place


def keep_of(rows: pa.Table, action: Action) -> Floats:
    """The share of leavers that the action keeps of customers like these, NaN where it is not meant for them; [n].

    Without causes it is the same for all, and whom it is meant for their reasons say.
    """
    if not action.causes:
        return np.full(rows.num_rows, action.keep_probability)
    keeps = np.array([*(cause.keeps for cause in action.causes), np.nan])
    return np.asarray(keeps[cause_of(rows, action.causes)])  # NO_CAUSE is the last


class Question(NamedTuple):
    """A condition as it is asked of one customer after the other: to read it from the policy takes longer than that."""

    column: str
    missing: bool | None
    limits: tuple[tuple[Callable[[Any, Any], bool], Any], ...]


Questions = tuple[tuple[Cause, tuple[Question, ...]], ...]  # causes in their order, and what has to hold for each


def questions_of(causes: Sequence[Cause]) -> Questions:
    """The causes, ready for `first_met`."""
    return tuple((cause, tuple(_question_of(condition) for condition in cause.when)) for cause in causes)


def first_met(row: Mapping[str, Any], causes: Questions) -> Cause | None:
    """The first of the causes that the customer, given by column, meets."""
    for cause, asked in causes:
        if _all_hold(row, asked):
            return cause
    return None


def _all_hold(row: Mapping[str, Any], asked: Sequence[Question]) -> bool:
    """Whether all do of the customer; a column that the row lacks says nothing of him."""
    for column, missing, limits in asked:
        told = row.get(column)
        unknown = told is None or told != told  # NaN is no number to itself
        if unknown if missing is None else unknown != missing:
            return False
        for compare, limit in limits:
            if not compare(told, limit):
                return False
    return True


def _met(rows: pa.Table, cause: Cause) -> Flags:
    met = np.ones(rows.num_rows, np.bool_)
    for condition in cause.when:
        met &= _hold(rows, condition)
    return met


def _hold(rows: pa.Table, condition: Condition) -> Flags:
    """Of whom the condition holds. Shape (n,)."""
    import pyarrow.compute as pc  # what answers for one customer by day starts without it, see `churn.arrow`

    column = _plain(rows[condition.column])
    unknown = np.asarray(pc.is_null(column, nan_is_null=True))
    if condition.missing is not None:
        return np.asarray(unknown == condition.missing)
    holds = ~unknown
    for name, value in condition.asked.items():
        asked = pc.call_function(_IN_COLUMNS[name], [column, pa.scalar(value)])
        holds &= np.asarray(pc.fill_null(asked, False))
    return holds


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _question_of(condition: Condition) -> Question:
    limits = ((_IN_ONE[name], value) for name, value in condition.asked.items())
    return Question(condition.column, condition.missing, tuple(limits))
