"""Rows of a table that no contract describes yet."""

from __future__ import annotations

import pyarrow as pa

from churn.errors import SourceEmpty
from schemas.columns import Column, LogicalType, Table
from store.readers import open_source
from store.source_names import source_name


def read_rows(source: str, table: str) -> pa.Table:
    """All rows, under the source's own column names, held in memory; SourceEmpty where there are none."""
    reader = open_source(source)
    schema = reader.schema(Table(table, "", ()))
    columns = tuple(Column(name, LogicalType.STRING, "") for name in schema.names)
    blocks = list(reader.blocks(Table(table, "", columns)))
    if not blocks:
        raise SourceEmpty("the table has no rows", where=source_name(source), to_do="Give one with rows.")
    return pa.concat_tables(blocks, promote_options="permissive")
