"""Reads the rows that a job was given, says what is wrong with which of them, and scores the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.casting import WORDS, arrow_type, legible
from churn.contract import arrow_schema
from churn.errors import SourceMismatch
from churn.scorecard import Scorecard
from churn.scoring import Stamp, score_rows
from churn.segments import scored_by_segment
from schemas.columns import Column, LogicalType, Role, WhenInvalid
from schemas.contract import Contract
from schemas.jobs import JOB_RESULTS
from schemas.messages import ASKED

PROBLEM = "problem"
TO_DO = "Name each column as the contract does: GET /openapi.json describes the customer."

Champions = Mapping[str, tuple[Scorecard, Stamp]]  # of each segment that has one, and of all


def columns_asked(contract: Contract) -> tuple[Column, ...]:
    """The columns of a customer that a score may need."""
    return contract.customer.with_role(*ASKED, Role.REGION)


def require_columns(names: Sequence[str], contract: Contract) -> None:
    """SourceMismatch where columns are missing, strange or there twice; told before any of their values is read."""
    asked = columns_asked(contract)
    wanted = {column.name for column in asked if column.required and not column.derived}
    there = Counter(names)
    wrong = {
        "it lacks": sorted(wanted - there.keys()),
        "it has, and the contract does not,": sorted(there.keys() - {column.name for column in asked})[:5],
        "it has twice": sorted(name for name, times in there.items() if times > 1)[:5],
    }
    told = [f"{what} {', '.join(found)}" for what, found in wrong.items() if found]
    if told:
        raise SourceMismatch("; ".join(told), where="what the job was given", to_do=TO_DO)


def read_rows(found: pa.Table, contract: Contract) -> pa.Table:
    """The rows in the contract's columns and types, and why a row cannot be scored in `problem`, null where it can.

    Values are read as the night reads those of a source, so that text which says a number is one. SourceMismatch where
    columns are missing, strange or there twice.
    """
    require_columns(found.column_names, contract)
    asked = columns_asked(contract)
    read = {column.name: _read(found, column) for column in asked}
    problems = [problem for column in asked for problem in _problems(*read[column.name], column)]
    columns = {name: values for name, (values, _) in read.items()}
    return pa.table(columns | {PROBLEM: _first_of(problems, found.num_rows)})


def results_of(rows: pa.Table, contract: Contract, champions: Champions, first: int) -> pa.Table:
    """JOB_RESULTS of the rows, the first of which has that place, from 1: scores of those that have no problem."""
    sound = pc.is_null(rows[PROBLEM])
    scores = _scores(rows.filter(sound), contract, champions)
    sounds = sound.to_numpy()
    places = pa.array(np.cumsum(sounds) - 1, mask=~sounds)
    told = {
        "row": pa.array(np.arange(first, first + rows.num_rows)),
        "customer_id": rows[contract.key],
        PROBLEM: rows[PROBLEM],
        **{name: scores[name].take(places) for name in scores.column_names if name != "customer_id"},
    }
    fields = arrow_schema(JOB_RESULTS)
    return pa.table([told[field.name].cast(field.type) for field in fields], schema=fields)


def _read(found: pa.Table, column: Column) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The column's values, null where there is none that can be read, and where one was there that cannot."""
    if column.name not in found.column_names:
        nothing = pa.chunked_array([pa.nulls(found.num_rows, arrow_type(column))])
        return nothing, pc.is_valid(nothing)
    return legible(found[column.name], column)


def _problems(values: pa.ChunkedArray, unread: pa.ChunkedArray, column: Column) -> Iterator[pa.ChunkedArray]:
    yield _said(unread, f"{column.name}: not {WORDS[column.logical_type]}")
    if column.required and not column.derived:
        yield _said(pc.is_null(values), f"{column.name}: missing")
    if column.when_invalid is WhenInvalid.UNKNOWN:
        return
    if column.minimum is not None:
        yield _said(pc.less(values, column.minimum), f"{column.name}: below {column.minimum:g}")
    if column.maximum is not None:
        yield _said(pc.greater(values, column.maximum), f"{column.name}: above {column.maximum:g}")
    if column.allowed and column.logical_type is LogicalType.STRING:
        strange = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, pa.array(column.allowed))))
        yield _said(strange, f"{column.name}: none of {', '.join(column.allowed[:10])}")


def _said(where: pa.ChunkedArray, problem: str) -> pa.ChunkedArray:
    return pc.if_else(pc.fill_null(where, False), problem, pa.scalar(None, pa.string()))


def _first_of(problems: list[pa.ChunkedArray], rows: int) -> pa.ChunkedArray:
    return pc.coalesce(pa.nulls(rows, pa.string()), *problems)


def _scores(rows: pa.Table, contract: Contract, champions: Champions) -> pa.Table:
    def scores_of(segment: str, theirs: pa.Table) -> pa.Table:
        card, stamp = champions[segment]
        return score_rows(card, theirs, stamp)

    return scored_by_segment(rows.combine_chunks(), contract, champions.keys(), scores_of)
