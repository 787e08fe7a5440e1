"""The outreach list, the one status that every scored customer of a night has, and how teams' places were used."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table


class Status(StrEnum):
    """The statuses of the program's own; a policy's suppression rules add theirs."""

    LISTED = "listed"
    HELD_OUT = "held_out"  # would have been listed, and is left out by lot
    COOLING_DOWN = "cooling_down"  # was contacted, answered or was in a wave too short a while ago
    HOUSEHOLD_LIMIT = "household_limit"  # other members of the household are worth more, or were in a wave lately
    NO_ACTION = "no_action"  # no action of the policy answers the customer's reasons
    NOT_WORTH_IT = "not_worth_it"  # the expected value is not above the policy's minimum
    BEYOND_CAPACITY = "beyond_capacity"  # worth it, but others are worth more


class Arm(StrEnum):
    """What the lot says of a customer who may be contacted."""

    TREATED = "treated"
    HOLDOUT = "holdout"


class ModelArm(StrEnum):
    """What the lot says of a customer about whom a challenger may decide in the champion's place."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


IN_THE_WAVE = (Status.LISTED, Status.HELD_OUT)

_STRING, _NUMBER, _INTEGER, _DATE = (
    LogicalType.STRING,
    LogicalType.NUMBER,
    LogicalType.INTEGER,
    LogicalType.DATE,
)
_AS_OF = Column("as_of", _DATE, "Date that the list is for", required=True)
_CUSTOMER = Column("customer_id", _STRING, "Key of the customer", required=True, unique=True)
_POLICY = Column("policy_digest", _STRING, "sha256 of the decision policy", required=True)

OUTREACH = Table(
    name="outreach",
    description="Customers to contact, best first, exactly as many as capacity allows",
    columns=(
        _AS_OF,
        Column("rank", _INTEGER, "Place on the list, 1 is the most worth", required=True, minimum=1),
        _CUSTOMER,
        Column("segment", _STRING, "Segment of the customer", required=True),
        Column("team", _STRING, "Team that contacts the customer", required=True),
        Column("action", _STRING, "Action of the policy that is to be done", required=True),
        Column("channel", _STRING, "Channel of the action", required=True),
        Column("agent_says", _STRING, "What the agent reads; names no reason that cannot be acted on", required=True),
        Column("probability", _NUMBER, "Calibrated probability of leaving", required=True),
        Column("customer_value", _NUMBER, "Value of keeping the customer, in money", required=True),
        Column("keep_probability", _NUMBER, "Chance that the action keeps one who would have left", required=True),
        Column("expected_value", _NUMBER, "Expected gain of the contact, in money", required=True),
        Column("listed_since", _DATE, "First night of the customer's present stay on the list", required=True),
        *(
            column
            for place in (1, 2, 3)
            for column in (
                Column(f"reason_{place}_feature", _STRING, f"Reason in place {place} that raises the risk"),
                Column(f"reason_{place}_value", _STRING, f"What the customer has there, place {place}"),
            )
        ),
        Column("model_digest", _STRING, "sha256 of the model's artifact", required=True),
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
        Column("status", _STRING, "listed, held_out, or the one reason that keeps the customer off", required=True),
        Column("rule", _STRING, "The rule of the policy that decided, in words", required=True),
        Column("expected_value", _NUMBER, "Expected gain of the best contact, in money"),
        Column("team", _STRING, "Team of a customer who is worth a contact and may have one"),
        Column("action", _STRING, "Action of a listed customer, or the one that a held-out customer does without"),
        Column("arm", _STRING, "treated or holdout, by lot, of a customer who is worth a contact and may have one"),
        Column("wave_since", _DATE, "First night of the customer's latest stay among the listed and held out, if late"),
        Column("customer_value", _NUMBER, "Value of keeping the customer, in money, as the policy has it"),
        Column("unit", _STRING, "What the lot was drawn for, of who is listed or held out: a customer or a household"),
        Column(
            "model_arm", _STRING, "champion or challenger, by lot, where a challenger decides about a share; or null"
        ),
        Column("model_digest", _STRING, "sha256 of the model that decided, which in its arm is the challenger's"),
        _POLICY,
    ),
    primary_key=("as_of", "customer_id"),
)

TEAMS = Table(
    name="outreach_team",
    description="How each team's places were used, and what one more would have been worth: one row per team and night",
    columns=(
        _AS_OF,
        Column("team", _STRING, "Team of the policy", required=True),
        Column("capacity", _INTEGER, "Contacts that the team can make a day", required=True, minimum=0),
        Column("listed", _INTEGER, "Customers on the team's list", required=True, minimum=0),
        Column("held_out", _INTEGER, "Customers who would be on it, and are left out by lot", required=True, minimum=0),
        Column("expected_value", _NUMBER, "Expected gain of all contacts of the list, in money", required=True),
        Column("shadow_price", _NUMBER, "What one more contact a day would add to it, in money", required=True),
        Column("policy", _STRING, "Name of the decision policy", required=True),
        Column("policy_version", _STRING, "Version of the decision policy", required=True),
        _POLICY,
        Column("uplift_digest", _STRING, "sha256 of the effects that left customers alone; null: none did"),
        Column("traffic_digest", _STRING, "sha256 of the challengers that decided about a share; null: none did"),
        Column("prior_digest", _STRING, "sha256 of the share of churners that was believed; null: that of the models"),
    ),
    primary_key=("as_of", "team"),
)
