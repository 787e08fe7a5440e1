"""Keeps what was known of the customers of a wave, since their night's snapshot is not kept as long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Contract
from store.decisions import snapshot_of
from store.lake import read_parquet, write_parquet
from store.publication import Publisher
from store.retention import CUSTOMERS
from store.runs import Run

KEY = "customer_id"


def keep_customers(publisher: Publisher, scores: Run | None, members: Path, contract: Contract) -> Path | None:
    """The file of the features of a wave's members, written once; None where their snapshot is gone already."""
    path = members.with_name(f"{members.stem}{CUSTOMERS}")
    snapshot = snapshot_of(scores, publisher.lake) if scores and not path.exists() else None
    if snapshot is not None:
        wanted = read_parquet([members], [KEY])[KEY].combine_chunks()
        write_parquet(_features(snapshot, wanted, contract), path)
    return path if path.exists() else None


def with_customers(members: pa.Table, kept: Mapping[date, Path]) -> pa.Table:
    """The members of whom something is kept, with their features; there is a file for the wave of each date."""
    found = [_joined(_of_wave(members, as_of), read_parquet([file])) for as_of, file in kept.items()]
    return pa.concat_tables([members.slice(0, 0), *found], promote_options="permissive")


def _features(snapshot: Path, wanted: pa.Array, contract: Contract) -> pa.Table:
    """Those features of today's contract that the night's had, too; KeyError where its key had another name."""
    names = [column.name for column in contract.features]
    parts = (read_parquet([file], [contract.key, *names]) for file in sorted(snapshot.glob("bucket=*.parquet")))
    chosen = [part.filter(pc.is_in(part[contract.key].cast(pa.string()), wanted)) for part in parts]
    rows = pa.concat_tables(chosen)
    return rows.rename_columns([KEY if name == contract.key else name for name in rows.column_names])


def _of_wave(members: pa.Table, as_of: date) -> pa.Table:
    return members.filter(pc.equal(members["as_of"], pa.scalar(as_of, pa.date32())))


def _joined(members: pa.Table, customers: pa.Table) -> pa.Table:
    place = pc.index_in(members[KEY], customers[KEY].cast(pa.string()).combine_chunks())
    told = pc.is_valid(place)
    members, place = members.filter(told), place.filter(told)
    for name in customers.column_names:
        if name not in members.column_names:
            members = members.append_column(name, customers[name].take(place))
    return members
