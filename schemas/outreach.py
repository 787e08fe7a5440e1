"""The outreach list and the one status that every scored customer of a night has."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table


class Status(StrEnum):
    """The statuses that the policy's arithmetic gives; its suppression rules add their own names."""

    LISTED = "listed"
    NOT_WORTH_IT = "not_worth_it"  # the expected value is not above the policy's minimum
    BEYOND_CAPACITY = "beyond_capacity"  # worth it, but others are worth more


_AS_OF = Column("as_of", LogicalType.DATE, "Date that the list is for", required=True)
_CUSTOMER = Column("customer_id", LogicalType.STRING, "Key of the customer", required=True, unique=True)
_POLICY = Column("policy_digest", LogicalType.STRING, "sha256 of the decision policy", required=True)

OUTREACH = Table(
    name="outreach",
    description="Customers to contact, best first, exactly as many as capacity allows",
    columns=(
        _AS_OF,
        Column("rank", LogicalType.INTEGER, "Place on the list, 1 is the most worth", required=True, minimum=1),
        _CUSTOMER,
        Column("segment", LogicalType.STRING, "Segment of the customer", required=True),
        Column("probability", LogicalType.NUMBER, "Calibrated probability of leaving", required=True),
        Column("customer_value", LogicalType.NUMBER, "Value of keeping the customer, in money", required=True),
        Column("expected_value", LogicalType.NUMBER, "Expected gain of the contact, in money", required=True),
        *(
            column
            for place in (1, 2, 3)
            for column in (
                Column(f"reason_{place}_feature", LogicalType.STRING, f"Reason in place {place} that raises the risk"),
                Column(f"reason_{place}_value", LogicalType.STRING, f"What the customer has there, place {place}"),
            )
        ),
        Column("model_digest", LogicalType.STRING, "sha256 of the model's artifact", required=True),
        _POLICY,
    ),
    primary_key=("as_of", "customer_id"),
)

STATUSES = Table(
    name="outreach_status",
    description="Why each scored customer is on the list or not: one row per customer and night",
    columns=(
        _AS_OF,
        _CUSTOMER,
        Column("status", LogicalType.STRING, "listed, or the one reason that keeps the customer off", required=True),
        Column("rule", LogicalType.STRING, "The rule of the policy that decided, in words", required=True),
        Column("expected_value", LogicalType.NUMBER, "Expected gain of a contact, in money"),
        _POLICY,
    ),
    primary_key=("as_of", "customer_id"),
)
