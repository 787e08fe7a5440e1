"""A small decision policy: a call for who complains, a voucher for everybody."""

from __future__ import annotations

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
