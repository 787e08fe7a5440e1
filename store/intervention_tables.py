"""The tables of handovers, contacts, what they saved and taught; store/migrations/ makes them, these ask them."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.interventions import HANDOVERS, INTERVENTIONS
from schemas.lift import LIFT
from schemas.uplift import UPLIFT
from store.registry_tables import registry_metadata
from store.tables import column_of

intervention = sa.Table(
    INTERVENTIONS.name,
    registry_metadata,
    *(column_of(column) for column in INTERVENTIONS.columns),
    sa.PrimaryKeyConstraint(*INTERVENTIONS.primary_key),
    sa.Index("intervention_by_wave", "contract", "as_of"),
    sa.Index("intervention_by_customer", "contract", "customer_id", "occurred_at"),
    comment=INTERVENTIONS.description,
)

handover = sa.Table(
    HANDOVERS.name,
    registry_metadata,
    *(column_of(column) for column in HANDOVERS.columns),
    sa.PrimaryKeyConstraint(*HANDOVERS.primary_key),
    comment=HANDOVERS.description,
)

lift = sa.Table(
    LIFT.name,
    registry_metadata,
    *(column_of(column) for column in LIFT.columns),
    sa.PrimaryKeyConstraint(*LIFT.primary_key),
    comment=LIFT.description,
)

uplift = sa.Table(
    UPLIFT.name,
    registry_metadata,
    *(column_of(column) for column in UPLIFT.columns),
    sa.PrimaryKeyConstraint(*UPLIFT.primary_key),
    comment=UPLIFT.description,
)
