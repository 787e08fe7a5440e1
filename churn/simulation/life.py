"""The life of a block of customers, month by month: who leaves, and all that happens to those who do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from churn.simulation import actions, hazard
from churn.simulation.dealings import (
    Change,
    Payment,
    Ticket,
    draw_change,
    draw_payment,
    draw_ticket,
    raise_prices,
)
from churn.simulation.hazard import Outlook, Signs
from churn.simulation.population import Homes, draw_homes, draw_people, newcomers
from churn.simulation.scenario import Flags, Floats, Ints, Simulation
from churn.simulation.standing import (
    Base,
    Standing,
    draw_joined_on,
    first_standing,
    joining,
    survivors_frailty,
)
from churn.simulation.usage import Service, Usage, draw_usage
from churn.simulation.world import World

FIRST_CHURN_DAY, LAST_CHURN_DAY = 3, 28  # of the month, so that it lies within 30 days of this first and of no other
JOINING_DAYS = 28

DROP_RATE, DROPS_WITH_QUALITY, DROPS_IN_INCIDENT = 0.012, 0.5, 3.0
TROUBLE_WITH_QUALITY, TROUBLE_IN_INCIDENT = 0.35, 1.8

OVERAGE_MEMORY = 0.5
RAISED_MEMORY = 0.85


@dataclass(frozen=True, slots=True)
class Block:
    """A run of slots with the random stream that is theirs; a slot's customers are numbered `stride` apart."""

    slots: Ints
    rng: np.random.Generator
    stride: int


@dataclass(frozen=True, slots=True)
class Fate:
    """Who leaves, when and why, and the probabilities behind it: one uniform `u` decides under every action."""

    p0: Floats
    p1: Mapping[str, Floats]
    u: Floats
    churned: Flags
    churned_on: Ints


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a block, one customer each place: as he stands when it starts, and what it does to him.

    `base` has the month's price rise in it already; `rise` and `change` are the versions of his contract.
    """

    first: int
    following: int
    base: Base
    sign: Signs
    fate: Fate
    usage: Usage
    payment: Payment
    ticket: Ticket
    rise: Change | None
    change: Change


def months_of(simulation: Simulation, world: World, block: Block) -> Iterator[Month]:
    """The months of a block, in order. Who leaves is followed in his slot by a newcomer in the next month."""
    calendar = simulation.calendar
    homes = draw_homes(block.rng, world, block.slots)
    base = _first_base(block, homes, calendar.firsts[0])
    for index, (first, following) in enumerate(calendar.months):
        month = _month(block.rng, hazard.outlook(world, index, first, following), base)
        yield month
        seats = np.flatnonzero(month.fate.churned)
        others = _newcomers(block, homes.take(seats), base.people.number[seats], following)
        base = Base(base.people, _next_standing(month)).seat(seats, others)


def _first_base(block: Block, homes: Homes, first: int) -> Base:
    joined_on = draw_joined_on(block.rng, homes.prepaid, first)
    people = draw_people(block.rng, homes, block.slots + 1, joined_on)
    people = replace(people, frailty=survivors_frailty(people.frailty, people.prepaid, joined_on, first))
    return Base(people, first_standing(block.rng, people, first))


def _newcomers(block: Block, homes: Homes, before: Ints, first: int) -> Base:
    joined_on = first + block.rng.integers(0, JOINING_DAYS, len(before))
    people = newcomers(block.rng, homes, before + block.stride, joined_on)
    return Base(people, joining(block.rng, people))


def _month(rng: np.random.Generator, outlook: Outlook, base: Base) -> Month:
    rise = raise_prices(base, outlook.first) if outlook.prices_rise else None
    base = replace(base, standing=rise.standing) if rise else base
    sign = hazard.signs(base, outlook)
    fate = _fate(rng, outlook, base, sign)
    return Month(
        first=outlook.first,
        following=outlook.following,
        base=base,
        sign=sign,
        fate=fate,
        usage=draw_usage(rng, base, _service(outlook, base, fate)),
        payment=draw_payment(rng, base, outlook.first),
        ticket=draw_ticket(rng, _trouble(outlook)[base.people.region], outlook.first),
        rise=rise,
        change=draw_change(rng, base, sign, outlook.first),
    )


def _fate(rng: np.random.Generator, outlook: Outlook, base: Base, sign: Signs) -> Fate:
    log_odds = hazard.log_odds(base, sign, outlook)
    u, day = rng.random((2, len(log_odds)))
    p0 = hazard.probability(log_odds)
    shifts = actions.shifts(base, sign)
    days = LAST_CHURN_DAY - FIRST_CHURN_DAY + 1
    return Fate(
        p0=p0,
        p1={action: hazard.probability(log_odds + shift) for action, shift in shifts.items()},
        u=u,
        churned=sign.live & (u < p0),
        churned_on=outlook.first + FIRST_CHURN_DAY - 1 + (days * day).astype(np.int64),
    )


def _service(outlook: Outlook, base: Base, fate: Fate) -> Service:
    since = base.people.joined_on.clip(outlook.first)
    until = np.where(fate.churned, fate.churned_on, outlook.following)
    share = (until - since) / (outlook.following - outlook.first)
    drop_rate = DROP_RATE * np.exp(-DROPS_WITH_QUALITY * outlook.quality)
    drop_rate *= np.where(outlook.incident, DROPS_IN_INCIDENT, 1.0)
    return Service(share, drop_rate[base.people.region])


def _trouble(outlook: Outlook) -> Floats:
    return np.exp(-TROUBLE_WITH_QUALITY * outlook.quality) * np.where(outlook.incident, TROUBLE_IN_INCIDENT, 1.0)


def _next_standing(month: Month) -> Standing:
    ticket, usage, before = month.ticket, month.usage, month.base.standing
    complains = ticket.opened & ticket.complaint & (ticket.opened_on >= month.base.people.joined_on)
    return replace(
        month.change.standing,
        engagement=usage.engagement,
        overage=OVERAGE_MEMORY * before.overage + (1 - OVERAGE_MEMORY) * usage.overage,
        extras=usage.overage + usage.roaming,
        paid_late=month.payment.late & month.sign.live,
        complaint_until=np.where(
            complains, np.maximum(before.complaint_until, ticket.closed_on), before.complaint_until
        ),
        raised=RAISED_MEMORY * month.change.standing.raised,
    )
