"""What a contract asks: of its own text, and of the columns of a table that comes in."""

from __future__ import annotations

from difflib import get_close_matches

import pyarrow as pa

from churn.errors import ContractError, SourceMismatch
from schemas.columns import Column, Role, Table
from schemas.contract import Contract
from schemas.odcs import read_contract_text

LIKENESS = 0.6  # of two names, from 0 to 1, above which one probably replaces the other


def parse_contract(text: str, where: str) -> Contract:
    """The contract that the YAML `text` describes; ContractError lists every problem with its line and rule."""
    found = read_contract_text(text)
    if isinstance(found, Contract):
        return found
    counted = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    listed = "\n".join(f"  {problem}" for problem in found)
    raise ContractError(f"{counted}\n{listed}", where=where, to_do="Correct these lines of the contract.")


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema in which the table is kept, its columns in order."""
    from churn.casting import arrow_type  # it loads 8 MB of Arrow's functions, which reading a contract needs not

    return pa.schema([pa.field(column.name, arrow_type(column)) for column in table.columns])


def conform(found: pa.Schema, table: Table, where: str) -> None:
    """SourceMismatch unless `found` has exactly the table's columns, by their names at the source, in fitting types.

    The order is free. A derived column may be absent, and so may a label that the contract does not require.
    """
    differences = [*_twice(found), *_other_names(found, table), *_other_types(found, table)]
    if differences:
        raise SourceMismatch(
            "; ".join(differences),
            where=where,
            to_do="Correct the source, or say in the contract (physicalName, logicalType) what it now looks like.",
        )


def _twice(found: pa.Schema) -> list[str]:
    names = sorted({name for name in found.names if found.names.count(name) > 1})
    return [f"columns that occur twice: {', '.join(names)}"] if names else []


def _other_names(found: pa.Schema, table: Table) -> list[str]:
    wanted = [column.source_name for column in table.columns]
    missing = [column.source_name for column in table.columns if _is_missing(column, found)]
    extra = [name for name in found.names if name not in wanted]
    renamed = _renamed(missing, extra)
    gone = [name for name in missing if name not in renamed]
    new = [name for name in extra if name not in renamed.values()]
    return [
        *([f"missing: {', '.join(gone)}"] if gone else []),
        *([f"not in the contract: {', '.join(new)}"] if new else []),
        *(f"missing: {old}, probably renamed to {name}" for old, name in renamed.items()),
    ]


def _is_missing(column: Column, found: pa.Schema) -> bool:
    may_be_absent = column.derived or (column.has(Role.LABEL) and not column.required)
    return column.source_name not in found.names and not may_be_absent


def _renamed(missing: list[str], extra: list[str]) -> dict[str, str]:
    """Which of the extra columns each missing one probably is; the likeness is of letters and digits only."""
    plain = {_plain(name): name for name in extra}
    renamed: dict[str, str] = {}
    for name in missing:
        if close := get_close_matches(_plain(name), plain, n=1, cutoff=LIKENESS):
            renamed[name] = plain.pop(close[0])
    return renamed


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _other_types(found: pa.Schema, table: Table) -> list[str]:
    from churn.casting import can_hold

    present = [column for column in table.columns if found.names.count(column.source_name) == 1]
    wrong = [column for column in present if not can_hold(found.field(column.source_name).type, column)]
    return [
        f"column {column.source_name} is {found.field(column.source_name).type}, not {column.logical_type}"
        for column in wrong
    ]
