"""Keeps what waves saved, each time it was measured; BI reads the last time in the view `lift_current`."""

from __future__ import annotations

import pyarrow as pa

from store.intervention_tables import lift
from store.migrations import migrated_engine
from store.settings import Settings
from store.tables import answering


def keep_lifts(settings: Settings, rows: pa.Table) -> None:
    """Adds rows of LIFT in one transaction, in the place of what was measured with the same moment before."""
    engine = migrated_engine(settings)
    moments = rows.select(["contract", "known_at"]).group_by(["contract", "known_at"]).aggregate([]).to_pylist()
    with answering(engine), engine.begin() as connection:
        for measured in moments:
            connection.execute(lift.delete().where(*(lift.c[name] == value for name, value in measured.items())))
        if rows.num_rows:
            connection.execute(lift.insert(), rows.to_pylist())
