"""A small decision policy: a call for who complains, a voucher for everybody; and what is before a first night."""

from __future__ import annotations

import pyarrow as pa

from churn.past import WAVE, Past
from schemas.interventions import CONTACTS
from schemas.policy import Action, Channel, Policy, Team

CALL = Action(
    name="call",
    channel="phone",
    offer_cost=0,
    contact_cost=2,
    keep_probability=0.3,
    answers=("complaints",),
    says="Settle it.",
)
VOUCHER = Action(name="voucher", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.2, says="Offer it.")


def small_policy() -> Policy:
    """Both actions, for a team of ten."""
    return Policy(
        name="small",
        version="1.0.0",
        description="Two actions.",
        actions=(CALL, VOUCHER),
        channels=(Channel(name="phone"),),
        teams=(Team(name="all", capacity=10),),
    )


def nothing_before(policy: Policy) -> Past:
    """The past of the first list ever."""
    return Past(tuple(pa.array([], pa.string()) for _ in policy.channels), WAVE.empty_table())


def no_contacts() -> pa.Table:
    """The rows of CONTACTS where nobody was contacted yet."""
    kinds = {"date": pa.date32(), "string": pa.string()}
    return pa.schema([(name, kinds[CONTACTS.column(name).logical_type]) for name in CONTACTS.names]).empty_table()
