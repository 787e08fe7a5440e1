"""What teams write back of their contacts, and the two tables that it fills: every event, and each last contact."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column, LogicalType, Table
from schemas.moments import Day, Happened

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Words = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]


class Event(StrEnum):
    """What happened to a listed customer, in the order in which it can happen."""

    ASSIGNED = "assigned"  # an agent has the customer on his list
    ATTEMPTED = "attempted"  # somebody tried, and nobody answered
    REACHED = "reached"  # the customer answered
    OFFERED = "offered"  # he heard the offer
    ACCEPTED = "accepted"
    REFUSED = "refused"


CONTACT_EVENTS = (Event.ATTEMPTED, Event.REACHED, Event.OFFERED, Event.ACCEPTED, Event.REFUSED)  # he may have noticed


class Intervention(BaseModel):
    """One event of one customer's contact, as a team writes it back.

    `as_of` is the date of the list that named the customer. `key` is the caller's own name for the event: sent again
    with the same content it changes nothing. `occurred_at` says its zone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: Words
    customer_id: Words
    as_of: Day
    action: Name
    channel: Name
    team: Words
    event: Event
    agent: Words
    occurred_at: Happened
    key: Words


def _required(name: str, logical_type: LogicalType, description: str) -> Column:
    return Column(name, logical_type, description, required=True)


_CUSTOMER = _required("customer_id", LogicalType.STRING, "Key of the customer")
_CHANNEL = _required("channel", LogicalType.STRING, "Channel of the contact, by the name that the policy has for it")

INTERVENTIONS = Table(
    name="intervention",
    description="Every event of a contact that a team wrote back; rows are only ever added",
    columns=(
        _required("contract", LogicalType.STRING, "Contract of the base"),
        _required("key", LogicalType.STRING, "The caller's own name for the event, unique within the contract"),
        _CUSTOMER,
        _required("as_of", LogicalType.DATE, "Date of the list that named the customer: the wave"),
        _required("action", LogicalType.STRING, "Action of the policy that was carried out"),
        _CHANNEL,
        _required("team", LogicalType.STRING, "Team that made the contact"),
        Column("event", LogicalType.STRING, "What happened", required=True, allowed=tuple(Event)),
        _required("agent", LogicalType.STRING, "Who made the contact"),
        _required("occurred_at", LogicalType.TIMESTAMP, "When it happened, UTC"),
        _required("recorded_at", LogicalType.TIMESTAMP, "When it was written down, by the database's clock, UTC"),
    ),
    primary_key=("contract", "key"),
)

HANDOVERS = Table(
    name="handover",
    description="Every list that left for a dialler or a CRM, with its first departure; it is never altered since",
    columns=(
        _required("contract", LogicalType.STRING, "Contract of the base"),
        _required("as_of", LogicalType.DATE, "Date of the list"),
        _required("run_id", LogicalType.STRING, "The run whose list it was"),
        _required("recorded_at", LogicalType.TIMESTAMP, "When it first left, by the database's clock, UTC"),
    ),
    primary_key=("contract", "as_of", "run_id"),
)

CONTACTS = Table(
    name="contacts",
    description="The last contact of each customer in each channel, and his last answer of each kind there",
    columns=(
        _CUSTOMER,
        _CHANNEL,
        _required("last_contact", LogicalType.DATE, "Business date of the last contact, tried or made"),
        Column("accepted_at", LogicalType.DATE, "Business date on which he last accepted; null where he never did"),
        Column("refused_at", LogicalType.DATE, "Business date on which he last refused; null where he never did"),
    ),
    primary_key=("customer_id", "channel"),
)
