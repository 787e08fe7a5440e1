"""The SQL (DuckDB) that names each row which breaks a rule of the contract, and the rule.

Names come from a contract and are quoted as identifiers, values are written as literals with their quotes doubled.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.quality import input_checks
from schemas.contract import Contract
from schemas.quality import Check, Rule

# Rules that one row can break by itself or as a repetition; the others are about the whole table.
ROW_RULES = frozenset({Rule.NOT_NULL, Rule.UNIQUE, Rule.BETWEEN, Rule.AMONG})


def quarantine_sql(contract: Contract, files: Sequence[str]) -> str:
    """One row per violation that sets its row aside: key, rule, column, value as text, file, row.

    `file` is the name of the Parquet file without its folder and `row` the place in it, from 0: together they
    name the very row, also among rows that share a key. Ordered by file, row, column and rule.
    """
    checks = tuple(check for check in input_checks(contract) if check.quarantines)
    return violations_sql(checks, key=contract.key, files=files)


def violations_sql(checks: Sequence[Check], *, key: str, files: Sequence[str]) -> str:
    """One row per violation of the checks (at least one, row rules only), in the shape of `quarantine_sql`.

    One branch per check: DuckDB then reads only that column, and skips the row groups that cannot break the rule.
    """
    branches = "\nUNION ALL\n".join(_branch(check, key) for check in checks)
    return f'WITH snapshot AS ({_source(files)})\n{branches}\nORDER BY file, "row", "column", rule'


def examples_sql(check: Check, *, key: str, files: Sequence[str], limit: int = 3) -> str:
    """The first rows, in order of the key, that break the check: key and value, which is null where it is the key."""
    found = violations_sql([check], key=key, files=files)
    return f"SELECT DISTINCT key, nullif(value, key) FROM ({found}) ORDER BY ALL LIMIT {limit}"


def without_quarantined(rows: pa.Table, quarantine: pa.Table, file: str) -> pa.Table:
    """The rows of one file that no violation sets aside, in their order; `quarantine` is what `quarantine_sql` gave."""
    of_this_file = quarantine.filter(pc.equal(quarantine["file"], file))
    kept = np.ones(rows.num_rows, dtype=bool)
    kept[of_this_file["row"].to_numpy()] = False
    return rows.filter(pa.array(kept))


def _source(files: Sequence[str]) -> str:
    listed = ", ".join(literal(file) for file in files)
    return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false, filename = true, file_row_number = true)"


def _branch(check: Check, key: str) -> str:
    rows = _repeated_rows(check) if check.rule is Rule.UNIQUE else "snapshot"
    return (
        f"SELECT CAST({identifier(key)} AS VARCHAR) AS key, {literal(check.rule)} AS rule, "
        f'{literal(check.column)} AS "column", CAST({identifier(check.column)} AS VARCHAR) AS value, '
        f'parse_filename(filename) AS file, file_row_number AS "row"\nFROM {rows}\nWHERE {_broken(check)}'
    )


def _broken(check: Check) -> str:
    """A condition that holds where the row breaks the rule; a missing value breaks not_null alone."""
    column = identifier(check.column)
    match check.rule:
        case Rule.NOT_NULL:
            return f"{column} IS NULL"
        case Rule.UNIQUE:
            return "place > 1"
        case Rule.BETWEEN:
            return f"{column} NOT BETWEEN {literal(check.minimum)} AND {literal(check.maximum)}"
        case Rule.AMONG:
            return f"{column} NOT IN ({', '.join(literal(value) for value in check.allowed)})"
        case _:
            raise ValueError(f"{check.rule} is no rule of a row")


def _repeated_rows(check: Check) -> str:
    """The rows whose value occurs again, each with its place by content, so that the same row stays every time."""
    column = identifier(check.column)
    repeated = f"SELECT {column} FROM snapshot GROUP BY {column} HAVING count(*) > 1"
    # `snapshot` is the whole row as a value, and ends in its file and its place there: no two rows tie.
    place = f"row_number() OVER (PARTITION BY {column} ORDER BY snapshot) AS place"
    return f"(SELECT *, {place} FROM snapshot WHERE {column} IN ({repeated}))"


def identifier(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float | bool | None) -> str:
    """A value as SQL writes it; text keeps its quotes by doubling them."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).upper()
    if value is None:
        return "NULL"
    return f"CAST({value!r} AS DOUBLE)" if isinstance(value, float) else str(value)
