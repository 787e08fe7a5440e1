"""A first contract for data that has none, and what looks suspicious in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from churn.casting import EXAMPLES, WORDS, cast_table, names_of, reads, unread
from churn.errors import RequestError, SourceMismatch
from churn.training.leaks import LEAK_AUC, auc_alone
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract, TrainingFacts

MOST_CATEGORIES = 20  # beyond it a text column is drafted without a list of allowed values
ID_SHARE = 0.5  # of the rows; a text with more different values names a row rather than describing it
KEY_NAME = "customer_id"
NEARLY = 0.95  # of a text column's values; if they are numbers, truth values or dates, the rest are slips

_GUESSES = (
    LogicalType.BOOLEAN,
    LogicalType.INTEGER,
    LogicalType.NUMBER,
    LogicalType.DATE,
    LogicalType.TIMESTAMP,
    LogicalType.STRING,
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A column (or the table, where no column is named) that a person has to look at, and why.

    It is not learnt from, unless it is `used` all the same.
    """

    column: str
    finding: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A contract to go on with, and what was found suspicious."""

    contract: Contract
    suspects: tuple[Suspect, ...]


def draft_contract(rows: pa.Table, name: str, *, key: str = "", label: str, value: str = "") -> Draft:
    """A flat contract for `rows`, whose columns have the source's names; without a `key` one is made from the row.

    The contract's name is `name` in snake_case: a file called "My Shop" drafts my_shop. A column may be named as the
    source or as the contract calls it.
    A column that alone tells leavers from stayers (AUC above .95) goes on the leak list and is not learnt from; nor
    are constants, dates, texts that name a row, and texts that are nearly all numbers, truth values or dates.
    RequestError where a named column is not there, SourceMismatch where a label is neither yes nor no.
    """
    key, label, value = (_at_source(rows, asked) for asked in (key, label, value))
    columns = [_column(rows, source, key=key, label=label, value=value) for source in rows.column_names]
    if not key:
        columns.insert(0, Column(KEY_NAME, LogicalType.STRING, "Made from the row.", roles=(Role.KEY,), derived=True))
    named = _with_names(columns)
    keys = tuple(column.name for column in named if column.has(Role.KEY))
    table = Table("customers", "One row per customer.", named, primary_key=keys)
    suspects = (*_suspects_of_table(rows), *_suspects(rows, table))
    return Draft(_contract(rows, _snake_case(name), _without(table, suspects), suspects), suspects)


def _at_source(rows: pa.Table, asked: str) -> str:
    if not asked or asked in rows.column_names:
        return asked
    columns = [Column(name, LogicalType.STRING, "", physical_name=name) for name in rows.column_names]
    for column in _with_names(columns):
        if column.name == asked:
            return column.source_name
    raise RequestError(f"there is no column {asked}", to_do=f"Name one of {', '.join(rows.column_names)}.")


def _column(rows: pa.Table, source: str, *, key: str, label: str, value: str) -> Column:
    title = _snake_case(source).replace("_", " ")
    drafted = Column(source, LogicalType.STRING, f"Draft: say what {title} is.", physical_name=source, title=title)
    if source == key:
        return replace(drafted, roles=(Role.KEY,), required=True, unique=True)
    if source == label:
        return replace(drafted, logical_type=LogicalType.INTEGER, roles=(Role.LABEL,), minimum=0, maximum=1)
    guess = _guess(rows[source], drafted)
    if source != value:
        return _with_range(rows, replace(drafted, logical_type=guess, roles=(Role.FEATURE,)))
    money = LogicalType.NUMBER if guess is LogicalType.STRING else guess
    return _with_range(rows, replace(drafted, logical_type=money, roles=(Role.VALUE, Role.FEATURE)))


def _guess(values: pa.ChunkedArray, drafted: Column) -> LogicalType:
    """The narrowest type that reads every value; a column without any value stays text."""
    if values.null_count == len(values):
        return LogicalType.STRING
    return next(guess for guess in _GUESSES if reads(values, replace(drafted, logical_type=guess)))


def _with_range(rows: pa.Table, column: Column) -> Column:
    values = _cast(rows, column)
    column = replace(column, required=values.null_count == 0)
    if column.logical_type in (LogicalType.INTEGER, LogicalType.NUMBER):
        return replace(column, minimum=0) if pc.min(values).as_py() >= 0 else column
    if column.logical_type is LogicalType.STRING:
        kinds = sorted(pc.unique(values.drop_null()).to_pylist())
        return replace(column, allowed=tuple(kinds)) if len(kinds) <= MOST_CATEGORIES else column
    return column


def _cast(rows: pa.Table, column: Column) -> pa.ChunkedArray:
    try:
        return cast_table(rows, Table("customers", "", (column,)), "")[column.name]
    except SourceMismatch as refusal:
        raise SourceMismatch(
            refusal.what,
            where=f"column {column.source_name}",
            to_do="Correct them in the source. A label may be blank: who has none is scored, and not learnt from.",
        ) from None


def _with_names(columns: list[Column]) -> tuple[Column, ...]:
    """Names that a contract may have, no two alike."""
    taken: set[str] = set()
    named = []
    for column in columns:
        stem, times = _snake_case(column.name), 1
        name = stem
        while name in taken:
            times += 1
            name = f"{stem}_{times}"
        taken.add(name)
        named.append(replace(column, name=name))
    return tuple(named)


def _snake_case(name: str) -> str:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")[:56] or "column"
    needed = plain == "as_of" or hasattr(BaseModel, plain)
    return f"its_{plain}" if needed or plain[0].isdigit() else plain


def _suspects_of_table(rows: pa.Table) -> Iterator[Suspect]:
    if duplicates := _duplicates(rows):
        yield Suspect("", f"{duplicates} rows are exact duplicates of others")


def _duplicates(rows: pa.Table) -> int:
    return len(rows) - len(rows.group_by(rows.column_names).aggregate([]))


def _suspects(rows: pa.Table, table: Table) -> Iterator[Suspect]:
    for key in table.with_role(Role.KEY):
        if not key.derived:
            yield from _suspects_of_key(rows, key, table)
    (of_label,) = table.with_role(Role.LABEL)
    label = _cast(rows, of_label)
    if blank := label.null_count:
        yield Suspect(of_label.name, f"is blank in {blank:,} of {len(rows):,} rows: scored, and not learnt from", True)
    for column in table.with_role(Role.FEATURE):
        if finding := _slips(rows, column, table) or _finding(_cast(rows, column), column, label):
            yield Suspect(column.name, finding)


def _suspects_of_key(rows: pa.Table, key: Column, table: Table) -> Iterator[Suspect]:
    values = _cast(rows, key)
    numbered = replace(table, columns=(), primary_key=())  # a key that is wrong names no row
    if values.null_count:
        places = names_of(rows, pc.indices_nonzero(pc.is_null(values))[:EXAMPLES], numbered)
        yield Suspect(key.name, f"is the key and blank in {values.null_count:,} rows: {', '.join(places)}", True)
    counts = pc.value_counts(values.drop_null().combine_chunks())
    often = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(often):
        places = names_of(rows, pc.indices_nonzero(pc.equal(values, often[0]))[:EXAMPLES], numbered)
        first = f"{often[0].as_py()!r} in {', '.join(places)}"
        yield Suspect(key.name, f"is the key and occurs more than once for {len(often):,} customers: {first}", True)


def _slips(rows: pa.Table, column: Column, table: Table) -> str:
    """The few values that keep a text column from being one of numbers, truth values or dates."""
    known = len(rows) - _cast(rows, column).null_count
    if column.logical_type is not LogicalType.STRING or not known:
        return ""
    if commas := _decimal_commas(_cast(rows, column), known):
        return f"writes {commas:,} of {known:,} numbers with a comma; write them with a point"
    found = {guess: unread(rows, replace(column, logical_type=guess), table) for guess in _GUESSES[:-1]}
    nearest = min(found, key=lambda guess: found[guess][0])
    wrong, examples = found[nearest]
    right = f"{known - wrong:,} of {known:,} values are {WORDS[nearest]}"
    return f"is text, although {right}: not {examples}" if wrong <= (1 - NEARLY) * known else ""


def _decimal_commas(texts: pa.ChunkedArray, known: int) -> int:
    """How many texts are numbers with a decimal comma, where all others but a few are whole numbers; else none."""
    commas: int = pc.sum(pc.match_substring_regex(texts, r"^-?\d[\d.]*,\d+$")).as_py()
    whole: int = pc.sum(pc.match_substring_regex(texts, r"^-?\d+$")).as_py()
    return commas if commas > whole * (1 - NEARLY) and commas + whole >= NEARLY * known else 0


def _finding(values: pa.ChunkedArray, column: Column, label: pa.ChunkedArray) -> str:
    different = pc.count_distinct(values).as_py()
    if different <= 1 and (values.null_count in (0, len(values))):
        return "has the same value everywhere"
    if column.logical_type in (LogicalType.DATE, LogicalType.TIMESTAMP):
        return "is a moment; make it the time since or until"
    if column.logical_type is LogicalType.STRING and different > ID_SHARE * len(values):
        return f"has {different:,} different texts and seems to name a row"
    alone = _auc_alone(values, column, label)
    return f"alone gives AUC {alone:.3f}: does it know the future?" if alone > LEAK_AUC else ""


def _auc_alone(values: pa.ChunkedArray, column: Column, label: pa.ChunkedArray) -> float:
    """How well the column alone tells leavers from stayers, as a training measures it: being blank may tell, too."""
    known = pc.is_valid(label)
    labels = label.filter(known).to_numpy()
    if not 0 < labels.sum() < len(labels):
        return 0.5
    return auc_alone(pa.table({column.name: values.filter(known)}), column, labels)


def _without(table: Table, suspects: tuple[Suspect, ...]) -> Table:
    suspected = {suspect.column for suspect in suspects if not suspect.used}
    columns = [
        replace(column, roles=(Role.IGNORED,)) if column.name in suspected and not column.has(Role.VALUE) else column
        for column in table.columns
    ]
    return replace(table, columns=tuple(columns))


def _contract(rows: pa.Table, name: str, table: Table, suspects: tuple[Suspect, ...]) -> Contract:
    mean = pc.mean(_cast(rows, table.with_role(Role.LABEL)[0])).as_py()
    base_rate = mean if mean and mean < 1 else None
    leaks = tuple(suspect.column for suspect in suspects if "AUC" in suspect.finding)
    facts = TrainingFacts(rows=len(rows), base_rate=base_rate, duplicates=_duplicates(rows), leaks=leaks)
    purpose = "Drafted from the data; descriptions, units, ranges and roles are for a person to complete."
    surrogate = table.with_role(Role.KEY)[0].derived
    return Contract(name, "0.1.0", "", purpose, (table,), table, flat=True, surrogate_key=surrogate, training=facts)
