"""The tables of what watching a night keeps; store/migrations/ makes them, they are asked by these."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.columns import Table
from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, FEATURES, MUTES, SCORE_SPREADS
from store.registry_tables import registry_metadata
from store.tables import column_of


def _table(schema: Table) -> sa.Table:
    columns = (column_of(column) for column in schema.columns)
    key = sa.PrimaryKeyConstraint(*schema.primary_key)
    return sa.Table(schema.name, registry_metadata, *columns, key, comment=schema.description)


features = _table(FEATURES)
score_spreads = _table(SCORE_SPREADS)
decisions = _table(DECISIONS)
backtest = _table(BACKTEST)
alarms = _table(ALARMS)
mutes = _table(MUTES)
