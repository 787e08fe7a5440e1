"""The simulated telecom of the whole nights, and the ways in which its feed can be broken."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.simulator import SOURCE_SCHEMAS, Simulation, blocks
from store.simulated import write_simulation

CUSTOMERS, MONTHS = 2_000, 8
FIRST_NIGHT, NEXT_NIGHT = "2024-08-01", "2024-09-01"

Tables = dict[str, pa.Table]


def simulated(to: str, *, truth: Path, faults: tuple[str, ...] = ()) -> None:
    """Writes the telecom, whose next night can know all its months."""
    write_simulation(blocks(Simulation(CUSTOMERS, MONTHS, faults=faults)), to, truth)


@cache
def tables(*faults: str) -> Tables:
    """The source tables of the telecom in memory."""
    (block,) = blocks(Simulation(CUSTOMERS, MONTHS, faults=faults))
    return {name: block[name] for name in SOURCE_SCHEMAS}


def delivered(tables: Tables, folder: Path) -> str:
    """Writes the tables as a folder of Parquet files, and gives what a night calls that source."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return str(folder)


def some_of(table: pa.Table, count: int) -> pa.Array:
    """The keys of the first `count` customers of a table."""
    return pc.unique(table["customer_id"]).slice(0, count)


def replaced(tables: Tables, name: str, column: str, value: object, customers: pa.Array) -> Tables:
    """The tables with one value for these customers' rows of one table."""
    rows = tables[name]
    theirs = pc.is_in(rows["customer_id"], customers)
    field = rows.schema.field(column)
    values = pc.if_else(theirs, pa.scalar(value, field.type), rows[column])
    return tables | {name: rows.set_column(rows.schema.get_field_index(column), field, values)}


def known_by(moment: datetime, tables: Tables) -> Tables:
    """The tables as they stood at a moment: without the facts that arrived later."""
    return {name: table.filter(pc.less_equal(table["recorded_at"], moment)) for name, table in tables.items()}


def recorded_again(rows: pa.Table, moment: datetime, **values: object) -> pa.Table:
    """The rows as a correction that arrives at a moment, with one value for all of them in some columns."""
    for name, value in {**values, "recorded_at": moment}.items():
        field = rows.schema.field(name)
        constant = pa.repeat(pa.scalar(value, field.type), len(rows))
        rows = rows.set_column(rows.schema.get_field_index(name), field, constant)
    return rows
