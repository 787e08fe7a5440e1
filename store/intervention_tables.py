"""The table of what teams wrote back of their contacts; store/migrations/ makes it, this is what it is asked by."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.interventions import INTERVENTIONS
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
