"""Why customers leave: the log-odds of leaving within the month, as a sum of named causes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.simulation.scenario import Flags, Floats
from churn.simulation.standing import Base
from churn.simulation.world import World

UNPREVENTABLE = 0.0206 * 0.04  # of customers a month: they move abroad or die, whatever anybody does

BASE = -4.24  # the log-odds of a postpaid customer whose contract has long ended, all else at its best
PREPAID = 0.74
BOUND = -1.66  # until the end of the month and longer
ENDING_DAYS = 62
ENDING = 0.29  # a contract that ends this month or has ended in the last two
EARLY_MONTHS, EARLY = 6, -0.45  # the first months of a bound customer

OLD_HANDSET_DAYS = 300
OLD_HANDSET = 0.48
# Odds x 2.7 and x 1.8 more over the whole base: the odds of a mix are less far apart than those of its members.
COMPLAINT = np.log(2.7)
COMPLAINT_IN_FIRST_YEAR = np.log(2.1)
FIRST_YEAR_DAYS = 365
FALLING_USAGE = 0.45  # for each log that usage is below the customer's own level
PAID_LATE = 0.25
OVERSPENDS_FROM = 3.0  # EUR a month beyond the plan, lately
OVERSPENDS = 0.2
QUALITY = 0.1  # for each standard deviation that the region's network is worse
INCIDENT = 0.25

PRICE_RISE_MONTH, PRICE_RISE_SHARE = 15, 0.08
PRICE_RISE = 0.34  # fades as customers get used to it
COMPETITOR_MONTH = 18
COMPETITOR = 0.25  # in contested regions, for customers who are not bound
COMPETITOR_PER_EUR, COMPETITOR_PRICE = 0.01, 25.0  # and more so the more they pay


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a month brings to all, by region: the push of the network of the month before, the network of this month,
    and where a competitor is there. Days are since 1970-01-01.
    """

    first: int
    following: int
    push: Floats
    quality: Floats
    incident: Flags
    contested: Flags
    prices_rise: bool


def outlook(world: World, month: int, first: int, following: int) -> Outlook:
    """The outlook of a month, counted from 0; customers judge the network by the month before."""
    return Outlook(
        first=first,
        following=following,
        push=INCIDENT * world.incident[month] - QUALITY * world.quality[month],
        quality=world.quality[month + 1],
        incident=world.incident[month + 1],
        contested=world.contested & (month >= COMPETITOR_MONTH),
        prices_rise=month == PRICE_RISE_MONTH,
    )


@dataclass(frozen=True, slots=True)
class Signs:
    """What of a customer's standing matters this month, as yes and no."""

    live: Flags
    bound: Flags
    ending: Flags
    old_handset: Flags
    complaint: Flags
    overspends: Flags


def signs(base: Base, outlook: Outlook) -> Signs:
    """The signs at the start of a month; live is who joined before it."""
    standing, first, following = base.standing, outlook.first, outlook.following
    return Signs(
        live=base.people.joined_on < first,
        bound=standing.bound_until >= following,
        ending=(standing.bound_until < following) & (standing.bound_until >= first - ENDING_DAYS),
        old_handset=standing.handset_since < first - OLD_HANDSET_DAYS,
        complaint=standing.complaint_until >= first,
        overspends=standing.overage > OVERSPENDS_FROM,
    )


def log_odds(base: Base, sign: Signs, outlook: Outlook) -> Floats:
    """The log-odds that a customer leaves within the month of his own will."""
    people, standing = base.people, base.standing
    tenure = outlook.first - people.joined_on
    odds: Floats = (
        BASE
        + people.frailty
        + PREPAID * people.prepaid
        + BOUND * sign.bound
        + ENDING * sign.ending
        + EARLY * (sign.bound & (tenure < EARLY_MONTHS * 30))
        + OLD_HANDSET * sign.old_handset
        + sign.complaint * (COMPLAINT + COMPLAINT_IN_FIRST_YEAR * (tenure < FIRST_YEAR_DAYS))
        - FALLING_USAGE * standing.engagement
        + PAID_LATE * standing.paid_late
        + OVERSPENDS * sign.overspends
        + PRICE_RISE * standing.raised
        + outlook.push[people.region]
        + _competitor(base, sign, outlook)
    )
    return odds


def probability(log_odds: Floats) -> Floats:
    """The probability of leaving within the month, the unpreventable included."""
    return UNPREVENTABLE + (1 - UNPREVENTABLE) / (1 + np.exp(-log_odds))


def _competitor(base: Base, sign: Signs, outlook: Outlook) -> Floats:
    pull = COMPETITOR + COMPETITOR_PER_EUR * (base.standing.price - COMPETITOR_PRICE)
    return np.where(outlook.contested[base.people.region] & ~sign.bound, pull, 0.0)
