"""The table of nights that were held against the service, and its view; store/migrations/ makes them."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.parity import PARITY
from store.registry_tables import registry_metadata
from store.tables import column_of
from store.views import View

parity = sa.Table(
    PARITY.name,
    registry_metadata,
    *(column_of(column) for column in PARITY.columns),
    sa.PrimaryKeyConstraint(*PARITY.primary_key),
    comment=PARITY.description,
)


def parity_views() -> tuple[View, ...]:
    """The view that BI reads it through."""
    return (View("night_parity", _last_of_each_night(), "Whether service and scores agree, night by night"),)


def _last_of_each_night() -> sa.Select[tuple[object, ...]]:
    later = parity.alias("later")
    same_night = (later.c[name] == parity.c[name] for name in ("contract", "as_of"))
    return sa.select(parity).where(~sa.exists().where(later.c.asked_at > parity.c.asked_at, *same_night))
