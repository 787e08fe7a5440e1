"""A source's columns become the contract's: renamed, blanks taken as missing, every value of the contract's type."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import SourceMismatch
from schemas.columns import Column, LogicalType, Role, Table

YES = ("yes", "true", "t", "y", "1")
NO = ("no", "false", "f", "n", "0")
EXAMPLES = 3

_WHOLE = r"^-?\d{1,18}(\.0*)?$"
_DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"
_MIDNIGHT = r"^.{10}([ T]00:00(:00(\.0*)?)?)?$"
_CLOCK = r"^.{10}([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?$"
_DATE_LETTERS = len("2026-01-31")


class Kind(StrEnum):
    """What a source may hold, as far as reading it differs."""

    TEXT = "text"
    WHOLE = "whole numbers"
    DECIMAL = "decimal numbers"
    TRUTH = "truth values"
    DATE = "dates"
    MOMENT = "moments"
    NOTHING = "nothing"
    OTHER = "something else"


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type in which the column is kept."""
    return _ARROW[column.logical_type]


def can_hold(found: pa.DataType, column: Column) -> bool:
    """Whether values of the type `found` can be what the column asks for, as far as the type alone tells."""
    kind = _kind(found)
    # SQLite has no types of its own, and its driver calls a column without any value whole numbers.
    return kind in (Kind.NOTHING, Kind.WHOLE) or (kind, _read_as(column)) in _READERS


def reads(values: pa.ChunkedArray, column: Column) -> bool:
    """Whether every value can be read as what the column asks for."""
    plain = _without_blanks(values)
    return bool(_cast(plain, column).null_count == plain.null_count)


def legible(values: pa.ChunkedArray, column: Column) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The values in the column's type, null where none is there or it cannot be read, and where it cannot."""
    plain = _without_blanks(values)
    cast = _cast(plain, column)
    return cast, pc.and_(pc.is_valid(plain), pc.is_null(cast))


def unread(found: pa.Table, column: Column, to: Table) -> tuple[int, str]:
    """How many of the column's values cannot be read as what it asks for, and three of them with their keys."""
    _, unreadable = legible(found[column.source_name], column)
    count: int = pc.sum(unreadable).as_py() or 0
    return count, _examples(found, unreadable, column, to)


def names_of(found: pa.Table, rows: pa.Array, to: Table) -> list[str]:
    """What to call rows, given by their places: their keys, or their numbers where the table has none."""
    keys = to.with_role(Role.KEY) or tuple(to.column(name) for name in to.primary_key)
    present = [column for column in keys if column.source_name in found.column_names]
    if not present:
        return [f"row {row + 1} of the data" for row in rows.to_pylist()]
    taken = [found[column.source_name].take(rows).to_pylist() for column in present]
    return [" ".join(map(str, parts)) for parts in zip(*taken, strict=True)]


def cast_table(found: pa.Table, to: Table, where: str) -> pa.Table:
    """The rows of `found` in the columns of `to`, with the contract's names, order and types.

    Blank text is missing, and so is NaN. A derived column that is not there yet is left out, a label that is not
    there is all null. SourceMismatch names the column, how many values cannot be read, and three of them with their
    keys. Whether the columns themselves fit is for `churn.contract.conform` to say first.
    """
    due = [column for column in to.columns if not column.derived or column.source_name in found.column_names]
    return pa.table({column.name: _column(found, column, to, where) for column in due})


def _column(found: pa.Table, column: Column, to: Table, where: str) -> pa.ChunkedArray:
    if column.source_name not in found.column_names:
        return _nothing(len(found), column)
    values = _without_blanks(found[column.source_name])
    cast = _cast(values, column)
    if cast.null_count > values.null_count:
        raise SourceMismatch(
            _complaint(found, column, to),
            where=f"{where}, column {column.source_name}",
            to_do=f"Correct the values at the source, or the logicalType of {column.name} in the contract.",
        )
    return cast


def _cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """The values in the column's Arrow type, null where a value cannot be read."""
    read = _READERS.get((_kind(values.type), _read_as(column)))
    if read is None:
        return _nothing(len(values), column)
    cast = read(values, column)
    return cast if cast.type == arrow_type(column) else cast.cast(arrow_type(column))


def _read_as(column: Column) -> LogicalType:
    """A label is kept as 0 and 1 but reads whatever a yes or no is written as."""
    return LogicalType.BOOLEAN if column.has(Role.LABEL) else column.logical_type


def _nothing(rows: int, column: Column) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(rows, arrow_type(column))])


def _without_blanks(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if _kind(values.type) is Kind.TEXT:
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        return _null_unless(pc.not_equal(text, ""), text)
    if pa.types.is_floating(values.type):
        return _null_unless(pc.invert(pc.is_nan(values)), values)
    return values


def _complaint(found: pa.Table, column: Column, to: Table) -> str:
    count, examples = unread(found, column, to)
    return f"{count} of {len(found)} values are not {WORDS[_read_as(column)]}, such as {examples}"


def _examples(found: pa.Table, unreadable: pa.ChunkedArray, column: Column, to: Table) -> str:
    rows = pc.indices_nonzero(unreadable)[:EXAMPLES]
    values = found[column.source_name].take(rows).to_pylist()
    return ", ".join(f"{value!r} ({name})" for value, name in zip(values, names_of(found, rows, to), strict=True))


def _kind(found: pa.DataType) -> Kind:
    for kind, holds in _KINDS:
        if holds(found):
            return kind
    return Kind.OTHER


def _is_whole(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found) and found != pa.uint64())


def _is_text(found: pa.DataType) -> bool:
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found))


def _is_decimal(found: pa.DataType) -> bool:
    return bool(pa.types.is_floating(found) or pa.types.is_decimal(found))


def _is_moment(found: pa.DataType) -> bool:
    """A moment with a time zone is refused: which business day it falls on is not the pipeline's to guess."""
    return bool(pa.types.is_timestamp(found) and found.tz is None)


_KINDS: tuple[tuple[Kind, Callable[[pa.DataType], bool]], ...] = (
    (Kind.TEXT, _is_text),
    (Kind.WHOLE, _is_whole),
    (Kind.DECIMAL, _is_decimal),
    (Kind.TRUTH, pa.types.is_boolean),
    (Kind.DATE, pa.types.is_date),
    (Kind.MOMENT, _is_moment),
    (Kind.NOTHING, pa.types.is_null),
)


# The readers: each gives null for a value that it cannot read.


def _text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """PostgreSQL keeps no zero byte, so that one would end the night where it is published, naming no customer."""
    if all(np.frombuffer(letters, np.uint8).all() for letters in _letters_of(text)):
        return text.cast(pa.string())
    return _null_unless(pc.invert(pc.match_substring(text, "\0")), text)


def _letters_of(text: pa.ChunkedArray) -> list[pa.Buffer]:
    """The bytes of all values, one buffer a chunk: a hundred times sooner looked through than value by value."""
    return [chunk.buffers()[-1] for chunk in text.chunks if chunk.nbytes and chunk.buffers()[-1]]


def _as_it_is(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    return values.cast(arrow_type(column), safe=False)


def _whole_from_text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    try:
        return text.cast(pa.int64())
    except pa.ArrowInvalid:
        readable = _null_unless(pc.match_substring_regex(text, _WHOLE), text)
        return pc.replace_substring_regex(readable, r"\.0*$", "").cast(pa.int64())


def _number_from_text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    try:
        return _finite(text.cast(pa.float64()), column)
    except pa.ArrowInvalid:
        return _finite(_null_unless(pc.match_substring_regex(text, _DECIMAL), text).cast(pa.float64()), column)


def _date_from_text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    try:
        return text.cast(pa.date32())
    except pa.ArrowInvalid:
        readable = pc.and_(_is_in_calendar(text), pc.match_substring_regex(text, _MIDNIGHT))
        return pc.utf8_slice_codeunits(_null_unless(readable, text), 0, _DATE_LETTERS).cast(pa.date32())


def _moment_from_text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    try:
        return text.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        readable = pc.and_(_is_in_calendar(text), pc.match_substring_regex(text, _CLOCK))
        return _null_unless(readable, text).cast(pa.timestamp("us"))


def _is_in_calendar(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """strptime takes February 31st for March 2nd; a date that is none comes back different."""
    day = pc.utf8_slice_codeunits(text, 0, _DATE_LETTERS)
    read = pc.strptime(day, format="%Y-%m-%d", unit="s", error_is_null=True)
    return pc.fill_null(pc.equal(pc.strftime(read, format="%Y-%m-%d"), day), False)


def _truth_from_text(text: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    word = pc.utf8_lower(text)
    yes, no = ((column.positive.lower(),), (column.negative.lower(),)) if column.positive else (YES, NO)
    known = pc.is_in(word, pa.array((*yes, *no)))
    return _null_unless(known, pc.is_in(word, pa.array(yes)))


def _truth_from_number(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    number = values.cast(pa.float64(), safe=False)
    return _null_unless(pc.is_in(number, pa.array([0.0, 1.0])), pc.equal(number, 1.0))


def _whole_from_decimal(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    number = values.cast(pa.float64())
    whole = pc.and_(pc.equal(pc.floor(number), number), pc.less(pc.abs(number), 2.0**63))
    return _null_unless(whole, number).cast(pa.int64())


def _finite(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    number = values.cast(pa.float64())
    return _null_unless(pc.is_finite(number), number)


def _date_from_moment(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    midnight = pc.floor_temporal(values, unit="day")
    return _null_unless(pc.equal(midnight, values), values).cast(pa.date32())


def _null_unless(holds: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(holds, values, pa.scalar(None, values.type))


_READERS: dict[tuple[Kind, LogicalType], Callable[[pa.ChunkedArray, Column], pa.ChunkedArray]] = {
    (Kind.TEXT, LogicalType.STRING): _text,
    (Kind.TEXT, LogicalType.INTEGER): _whole_from_text,
    (Kind.TEXT, LogicalType.NUMBER): _number_from_text,
    (Kind.TEXT, LogicalType.BOOLEAN): _truth_from_text,
    (Kind.TEXT, LogicalType.DATE): _date_from_text,
    (Kind.TEXT, LogicalType.TIMESTAMP): _moment_from_text,
    (Kind.WHOLE, LogicalType.STRING): _as_it_is,
    (Kind.WHOLE, LogicalType.INTEGER): _as_it_is,
    (Kind.WHOLE, LogicalType.NUMBER): _as_it_is,
    (Kind.WHOLE, LogicalType.BOOLEAN): _truth_from_number,
    (Kind.DECIMAL, LogicalType.INTEGER): _whole_from_decimal,
    (Kind.DECIMAL, LogicalType.NUMBER): _finite,
    (Kind.DECIMAL, LogicalType.BOOLEAN): _truth_from_number,
    (Kind.TRUTH, LogicalType.BOOLEAN): _as_it_is,
    (Kind.DATE, LogicalType.DATE): _as_it_is,
    (Kind.DATE, LogicalType.TIMESTAMP): _as_it_is,
    (Kind.MOMENT, LogicalType.DATE): _date_from_moment,
    (Kind.MOMENT, LogicalType.TIMESTAMP): _as_it_is,
}

_ARROW: dict[LogicalType, pa.DataType] = {
    LogicalType.INTEGER: pa.int64(),
    LogicalType.NUMBER: pa.float64(),
    LogicalType.STRING: pa.string(),
    LogicalType.BOOLEAN: pa.bool_(),
    LogicalType.DATE: pa.date32(),
    LogicalType.TIMESTAMP: pa.timestamp("us"),
}

WORDS: dict[LogicalType, str] = {
    LogicalType.INTEGER: "whole numbers",
    LogicalType.NUMBER: "numbers",
    LogicalType.STRING: "text without zero bytes",
    LogicalType.BOOLEAN: "yes or no",
    LogicalType.DATE: "dates such as 2026-01-31",
    LogicalType.TIMESTAMP: "moments such as 2026-01-31 23:00:00, without a time zone",
}
