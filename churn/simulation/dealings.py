"""What customers and company have to do with each other in a month: bills, tickets, contracts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from churn.simulation.hazard import PRICE_RISE_SHARE, Signs
from churn.simulation.population import PLAN_PRICE
from churn.simulation.scenario import Flags, Floats, Ints
from churn.simulation.standing import HANDSET_WITH_CONTRACT, TERM_DAYS, Base, Standing
from churn.simulation.tables import CATEGORIES, METHODS

EVENT_DAYS = 28  # what happens on a day happens on the 1st to the 28th

DUE_AFTER_DAYS = 14  # the bill of a month, from the first of the next one
EARLY_DAYS, LATE_DAYS = 5, 12.0  # at most before, and in the mean after
LATE_WITH_AUTOPAY = 0.25

TICKET_RATE = 0.05
COMPLAINT_SHARE = 0.4
_CATEGORY_OF_PART = np.array([CATEGORIES.index(name) for name in ("billing", "service", "device", "network")])
TICKET_DAYS = 25.0  # a ticket stays open, in the mean

RENEWAL_RATE, RENEWAL_RATE_AT_END = 0.01, 0.05
HANDSET_RATE = 0.03  # of customers a month buy a handset without a contract


@dataclass(frozen=True, slots=True)
class Payment:
    """The bill that is due in the month: on which day, the day it is paid, and whether that is late."""

    due_on: int
    paid_on: Ints
    late: Flags
    amount: Floats


@dataclass(frozen=True, slots=True)
class Ticket:
    """The ticket that a customer opens in the month, where `opened`."""

    opened: Flags
    opened_on: Ints
    closed_on: Ints
    category: Ints
    complaint: Flags


@dataclass(frozen=True, slots=True)
class Change:
    """The new version of a contract, where `changed`, and how the customer stands with it."""

    changed: Flags
    effective_on: Ints
    standing: Standing


def draw_payment(rng: np.random.Generator, base: Base, first: int) -> Payment:
    """The bill for the month before; prepaid customers are never late."""
    people, standing = base.people, base.standing
    chance, days = rng.random((2, len(people.number)))
    autopay = people.method == METHODS.index("autopay")
    late = ~people.prepaid & (chance < people.forgetfulness * np.where(autopay, LATE_WITH_AUTOPAY, 1.0))
    delay = np.where(autopay, 0.0, -np.floor(EARLY_DAYS * days))
    delay[late] = np.ceil(1 - LATE_DAYS * np.log1p(-days[late]))
    due_on = first + DUE_AFTER_DAYS
    return Payment(due_on, due_on + delay.astype(np.int64), late, standing.price + standing.extras)


def draw_ticket(rng: np.random.Generator, trouble: Floats, first: int) -> Ticket:
    """The tickets of a month; `trouble` is the factor by which the network's state multiplies them."""
    chance, day, length, subject, anger = rng.random((5, len(trouble)))
    opened_on = first + (EVENT_DAYS * day).astype(np.int64)
    part = (subject * (3 + trouble)).astype(np.int64)  # three even parts, and the network's by its trouble
    return Ticket(
        opened=chance < TICKET_RATE * trouble,
        opened_on=opened_on,
        closed_on=opened_on + np.ceil(-TICKET_DAYS * np.log1p(-length)).astype(np.int64),
        category=_CATEGORY_OF_PART[part.clip(max=3)],
        complaint=anger < COMPLAINT_SHARE,
    )


def draw_change(rng: np.random.Generator, base: Base, sign: Signs, first: int) -> Change:
    """The renewals and new handsets of a month; whoever renews pays his plan's price again."""
    people, standing = base.people, base.standing
    chance, with_handset, buys, day = rng.random((4, len(people.number)))
    rate = np.where(sign.ending, RENEWAL_RATE_AT_END, RENEWAL_RATE)
    renews = ~people.prepaid & ~sign.bound & (chance < rate)
    handset = (buys < HANDSET_RATE) | (renews & (with_handset < HANDSET_WITH_CONTRACT))
    on = first + (EVENT_DAYS * day).astype(np.int64)
    after = replace(
        standing,
        bound_until=np.where(renews, on + TERM_DAYS, standing.bound_until),
        handset_since=np.where(handset, on, standing.handset_since),
        price=np.where(renews, PLAN_PRICE[people.plan], standing.price),
        raised=np.where(renews, 0.0, standing.raised),
    )
    return Change(renews | handset, on, after)


def raise_prices(base: Base, first: int) -> Change:
    """The price rise: every postpaid customer who is not bound pays more from day `first` on."""
    people, standing = base.people, base.standing
    hit = ~people.prepaid & (standing.bound_until < first) & (people.joined_on < first)
    price = np.rint(100 * standing.price * (1 + PRICE_RISE_SHARE)) / 100
    after = replace(standing, price=np.where(hit, price, standing.price), raised=np.where(hit, 1.0, standing.raised))
    return Change(hit, np.full(len(hit), first, np.int64), after)
