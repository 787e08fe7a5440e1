"""The tables of challengers in the shadow; store/migrations/ makes them, they are asked by these."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.columns import Table
from schemas.shadow import SHADOW_NIGHTS, SHADOW_SCORES, SHADOWS
from store.registry_tables import registry_metadata
from store.tables import column_of
from store.views import View


def _table(schema: Table) -> sa.Table:
    columns = (column_of(column) for column in schema.columns)
    key = sa.PrimaryKeyConstraint(*schema.primary_key)
    return sa.Table(schema.name, registry_metadata, *columns, key, comment=schema.description)


shadows = _table(SHADOWS)
shadow_nights = _table(SHADOW_NIGHTS)
shadow_scores = _table(SHADOW_SCORES)


def shadow_views() -> tuple[View, ...]:
    """The views that BI reads them through, in order of their names."""
    asked = [shadows.c[name] for name in ("nights", "gate", "ending")]
    theirs = sa.and_(*(shadow_nights.c[name] == shadows.c[name] for name in SHADOWS.primary_key))
    return (
        View("score_shadow", sa.select(shadow_scores), SHADOW_SCORES.description),
        View(
            "shadow_comparison",
            sa.select(shadow_nights, *asked).join_from(shadow_nights, shadows, theirs),
            "How each challenger in the shadow scored each night, and how that ended",
        ),
    )
