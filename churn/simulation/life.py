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
from churn.simulation.population import Homes, People, draw_homes, draw_people, newcomers
from churn.simulation.scenario import Flags, Floats, Ints, Simulation
from churn.simulation.standing import (
    Standing,
    draw_joined_on,
    first_standing,
    joining,
    survivors_frailty,
)
from churn.simulation.usage import Usage, draw_usage
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

    `standing` has the month's price rise in it already; `rise` and `change` are the versions of his contract.
    """

    first: int
    following: int
    people: People
    standing: Standing
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
    people = _first_people(block, homes, calendar.firsts[0])
    standing = first_standing(block.rng, people, calendar.firsts[0])
    for index, (first, following) in enumerate(calendar.months):
        month = _month(block.rng, hazard.outlook(world, index, first, following), people, standing)
        yield month
        seats = np.flatnonzero(month.fate.churned)
        others = _newcomers(block, homes.take(seats), month.people.number[seats], following)
        people = people.seat(seats, others)
        standing = _next_standing(month).seat(seats, joining(block.rng, others))


def _first_people(block: Block, homes: Homes, first: int) -> People:
    joined_on = draw_joined_on(block.rng, homes.prepaid, first)
    people = draw_people(block.rng, homes, block.slots + 1, joined_on)
    return replace(people, frailty=survivors_frailty(people.frailty, people.prepaid, joined_on, first))


def _newcomers(block: Block, homes: Homes, before: Ints, first: int) -> People:
    joined_on = first + block.rng.integers(0, JOINING_DAYS, len(before))
    return newcomers(block.rng, homes, before + block.stride, joined_on)


def _month(rng: np.random.Generator, outlook: Outlook, people: People, standing: Standing) -> Month:
    rise = raise_prices(people, standing, outlook.first) if outlook.prices_rise else None
    standing = rise.standing if rise else standing
    sign = hazard.signs(people, standing, outlook)
    fate = _fate(rng, outlook, people, standing, sign)
    return Month(
        first=outlook.first,
        following=outlook.following,
        people=people,
        standing=standing,
        sign=sign,
        fate=fate,
        usage=_usage(rng, outlook, people, standing, fate),
        payment=draw_payment(rng, people, standing, outlook.first),
        ticket=draw_ticket(rng, _trouble(outlook)[people.region], outlook.first),
        rise=rise,
        change=draw_change(rng, people, standing, sign, outlook.first),
    )


def _fate(rng: np.random.Generator, outlook: Outlook, people: People, standing: Standing, sign: Signs) -> Fate:
    log_odds = hazard.log_odds(people, standing, sign, outlook)
    u, day = rng.random((2, len(log_odds)))
    p0 = hazard.probability(log_odds)
    shifts = actions.shifts(people, standing, sign)
    days = LAST_CHURN_DAY - FIRST_CHURN_DAY + 1
    return Fate(
        p0=p0,
        p1={action: hazard.probability(log_odds + shift) for action, shift in shifts.items()},
        u=u,
        churned=sign.live & (u < p0),
        churned_on=outlook.first + FIRST_CHURN_DAY - 1 + (days * day).astype(np.int64),
    )


def _usage(rng: np.random.Generator, outlook: Outlook, people: People, standing: Standing, fate: Fate) -> Usage:
    since = people.joined_on.clip(outlook.first)
    until = np.where(fate.churned, fate.churned_on, outlook.following)
    share = (until - since) / (outlook.following - outlook.first)
    drop_rate = DROP_RATE * np.exp(-DROPS_WITH_QUALITY * outlook.quality)
    drop_rate *= np.where(outlook.incident, DROPS_IN_INCIDENT, 1.0)
    return draw_usage(rng, people, standing, share=share, drop_rate=drop_rate[people.region])


def _trouble(outlook: Outlook) -> Floats:
    return np.exp(-TROUBLE_WITH_QUALITY * outlook.quality) * np.where(outlook.incident, TROUBLE_IN_INCIDENT, 1.0)


def _next_standing(month: Month) -> Standing:
    ticket, usage, before = month.ticket, month.usage, month.standing
    complains = ticket.opened & ticket.complaint & (ticket.opened_on >= month.people.joined_on)
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
