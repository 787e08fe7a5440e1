"""The quarantine table: which rows left a night, and the rule that each of them broke."""

from __future__ import annotations

from schemas.columns import Column, LogicalType, Table

QUARANTINE = Table(
    name="quarantine",
    description="Rows that were set aside before scoring: one row per broken rule",
    columns=(
        Column("key", LogicalType.STRING, "Key of the customer; null where that is what is wrong"),
        Column("rule", LogicalType.STRING, "The rule that the row breaks", required=True),
        Column("column", LogicalType.STRING, "The column that breaks it", required=True),
        Column("value", LogicalType.STRING, "What stands there, as text"),
        Column("file", LogicalType.STRING, "The snapshot's file that holds the row", required=True),
        Column("row", LogicalType.INTEGER, "The row's place in that file, from 0", required=True, minimum=0),
    ),
)
