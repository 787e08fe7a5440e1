"""What a run's rows come to, column by column, in the tables and in the files: enough to tell that they differ.

One scan each, so that a publication can afford it. `churn verify`, which has time, compares every value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isclose, isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from store.tables import FENCE

# Numbers are added in another order on each side. The last digits of such sums differ, by less than this for each row.
SLACK = 1e-11


@dataclass(frozen=True, slots=True)
class Total:
    """How many values a column has, and what they add up to where they are numbers."""

    values: int
    amount: float

    def __add__(self, other: Total) -> Total:
        return Total(self.values + other.values, self.amount + other.amount)

    def equals(self, other: Total) -> bool:
        """Whether both are the same but for the order in which they were added."""
        if self.values != other.values or isnan(self.amount) != isnan(other.amount):
            return False
        same = isclose(self.amount, other.amount, rel_tol=SLACK, abs_tol=SLACK * self.values)
        return same or isnan(self.amount)


NOTHING = Total(0, 0.0)


def totals_of_table(connection: Connection, table: sa.Table, fence: int) -> dict[str, Total]:
    """The totals of a run's rows in the table, by column."""
    names = [column.name for column in table.columns if column.name != FENCE]
    asked = [part for name in names for part in (sa.func.count(table.c[name]), _amount(table.c[name]))]
    figures = connection.execute(sa.select(*asked).where(table.c[FENCE] == fence)).one()
    pairs = zip(figures[::2], figures[1::2], strict=True)
    return {name: Total(values, float(amount or 0)) for name, (values, amount) in zip(names, pairs, strict=True)}


def totals_of_files(files: Iterable[Path]) -> dict[str, Total]:
    """The totals of the rows of all the files, by column; of those that are not numbers the footers tell enough."""
    totals: dict[str, Total] = {}
    for file in map(pq.ParquetFile, files):
        numbers = [field.name for field in file.schema_arrow if _is_number(field.type)]
        rows = file.read(numbers, use_threads=False)
        for name, values in _values_of(file.metadata).items():
            amount = float(pc.sum(rows[name]).as_py() or 0) if name in numbers else 0.0
            totals[name] = totals.get(name, NOTHING) + Total(values, amount)
    return totals


def differing(left: Mapping[str, Total], right: Mapping[str, Total]) -> list[str]:
    """The columns of which the totals differ."""
    names = sorted(left.keys() | right.keys())
    return [name for name in names if not left.get(name, NOTHING).equals(right.get(name, NOTHING))]


def _amount(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.func.sum(column) if isinstance(column.type, sa.BigInteger | sa.Double) else sa.literal(0)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _values_of(footer: pq.FileMetaData) -> dict[str, int]:
    """How many values each column has, nulls not counted."""
    values = dict.fromkeys(footer.schema.names, 0)
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.num_values:  # without values there are no statistics, either
                values[column.path_in_schema] += column.num_values - column.statistics.null_count
    return values
