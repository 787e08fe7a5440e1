"""Keeps what waves saved, each time it was measured."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from churn.contract import arrow_schema
from schemas.lift import LIFT
from store.intervention_tables import lift
from store.migrations import bring_up_to_date
from store.settings import Settings
from store.tables import answering, engine_for


def keep_lifts(settings: Settings, rows: pa.Table) -> None:
    """Adds rows of LIFT in one transaction, in the place of what was measured with the same moment before."""
    engine = engine_for(settings.database_url)
    moments = rows.select(["contract", "known_at"]).group_by(["contract", "known_at"]).aggregate([]).to_pylist()
    with answering(engine):
        bring_up_to_date(engine)
        with engine.begin() as connection:
            for measured in moments:
                connection.execute(lift.delete().where(*(lift.c[name] == value for name, value in measured.items())))
            if rows.num_rows:
                connection.execute(lift.insert(), rows.to_pylist())


def kept_lifts(settings: Settings, contract: str, known_at: datetime | None = None) -> pa.Table:
    """The rows of LIFT that were measured at a moment, or last; in order of action, scope and date."""
    engine = engine_for(settings.database_url)
    newest = sa.select(sa.func.max(lift.c.known_at)).where(lift.c.contract == contract).scalar_subquery()
    measured = sa.select(lift).where(lift.c.contract == contract, lift.c.known_at == (known_at or newest))
    in_order = measured.order_by(lift.c.action, lift.c.scope.desc(), lift.c.last_as_of)
    with answering(engine):
        bring_up_to_date(engine)
        with engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(in_order).mappings()]
    return pa.Table.from_pylist(rows, schema=arrow_schema(LIFT))
