"""The data dictionary: a page that says what a contract knows of every column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas.columns import Column, Role, Table, WhenInvalid
from schemas.contract import Contract

HEADS = ("column", "at the source", "what it is", "type", "unit", "values", "role", "notes")
ESCAPED_BAR = "\\|"
DIRECTIONS = {1: "risk only rises with it", -1: "risk only falls with it"}


def dictionary_page(contract: Contract) -> str:
    """The page as Markdown: the contract's facts, then one table per table, the customer row first."""
    tables = sorted(contract.tables, key=lambda table: table is not contract.customer)
    parts = [f"# {contract.name}, version {contract.version}", contract.description.strip(), _facts(contract)]
    return "\n\n".join([*parts, *(_section(table) for table in tables)]) + "\n"


def column_facts(table: Table) -> list[tuple[str, ...]]:
    """One row of texts per column of the table, under the dictionary's HEADS."""
    return [_row(column, table) for column in table.columns]


def _section(table: Table) -> str:
    key = f"\n\nKey: {', '.join(table.primary_key)}." if table.primary_key else ""
    return f"## {table.name}\n\n{table.description}{key}\n\n{_grid(HEADS, column_facts(table))}"


def _facts(contract: Contract) -> str:
    training = contract.training
    facts = (
        ("horizon", f"{contract.horizon_days} days"),
        ("value counted over", f"{contract.value_months:g} x the value column"),
        ("features", str(len(contract.features))),
        ("key", f"{contract.key}, made from the row's content" if contract.surrogate_key else contract.key),
        ("training rows", _known(training.rows)),
        ("exact duplicates among them", _known(training.duplicates)),
        ("base rate", _known(training.base_rate)),
        ("sampling rate of stayers", f"{training.sampling_rate:g}"),
        ("embargo between labels and the date predicted", f"{training.embargo_days} days"),
        ("leaks kept out", ", ".join(training.leaks) or "none"),
        ("checksum of the training set", training.checksum or "not given"),
        ("digest of the contract", contract.digest),
    )
    return _grid(("fact", "value"), facts)


def _known(fact: float | None) -> str:
    return "not given" if fact is None else f"{fact:,}"


def _row(column: Column, table: Table) -> tuple[str, ...]:
    return (
        column.name,
        "made from the row" if column.derived else f"`{column.source_name}`",
        column.description,
        column.logical_type,
        column.unit,
        _values(column),
        ", ".join(role for role in column.roles if role is not Role.IGNORED),
        "; ".join(_notes(column, table)),
    )


def _values(column: Column) -> str:
    if column.labels:
        return ", ".join(
            f"{value} ({label})" if value != label else value
            for value, label in zip(column.allowed, column.labels, strict=True)
        )
    if column.allowed:
        return ", ".join(column.allowed)
    low, high = (None if bound is None else f"{bound:,.12g}" for bound in (column.minimum, column.maximum))
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"up to {high}" if high else ""


def _notes(column: Column, table: Table) -> Iterator[str]:
    if column.name in table.primary_key:
        yield "part of the key" if len(table.primary_key) > 1 else "key"
    if column.required:
        yield "never missing"
    if column.actionable:
        yield "can be acted upon"
    if column.monotone:
        yield DIRECTIONS[column.monotone]
    if column.when_invalid is WhenInvalid.UNKNOWN:
        yield "an invalid value counts as unknown"
    if column.positive:
        yield f"{column.positive} is yes, {column.negative} is no"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.strip().replace(chr(10), ' ').replace('|', ESCAPED_BAR) for cell in cells)} |"
