"""The tables of contacts and of what they saved; store/migrations/ makes them, this is what they are asked by."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.interventions import INTERVENTIONS
from schemas.lift import LIFT
from store.registry_tables import registry_metadata
from store.tables import column_of

intervention = sa.Table(
    INTERVENTIONS.name,
    registry_metadata,
    *(column_of(column) for column in INTERVENTIONS.columns),
    sa.PrimaryKeyConstraint(*INTERVENTIONS.primary_key),
    sa.Index("intervention_by_wave", "contract", "as_of"),
    comment=INTERVENTIONS.description,
)

lift = sa.Table(
    LIFT.name,
    registry_metadata,
    *(column_of(column) for column in LIFT.columns),
    sa.PrimaryKeyConstraint(*LIFT.primary_key),
    comment=LIFT.description,
)
