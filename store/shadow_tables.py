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


def of_the_same_wish(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Where the table's row is of the same challenger and place as the row of SHADOWS."""
    return tuple(table.c[name] == shadows.c[name] for name in SHADOWS.primary_key)


def shadow_views() -> tuple[View, ...]:
    """The views that BI reads them through, in order of their names."""
    asked = [shadows.c[name] for name in ("nights", "gate", "ending")]
    waiting = sa.and_(*of_the_same_wish(shadow_scores), shadows.c.ending.is_(None))
    nights = sa.select(shadow_nights, *asked).join(shadows, sa.and_(*of_the_same_wish(shadow_nights)))
    return (
        View("score_shadow", sa.select(shadow_scores).join(shadows, waiting), SHADOW_SCORES.description),
        View(
            "shadow_comparison",
            nights,
            "How each challenger in the shadow scored each night, and how that ended",
        ),
    )
