"""Where each customer stands at the start of a month: contract, handset, usage, payments, complaints."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from churn.simulation.population import FRAILTY_SD, PLAN_PRICE, People, replaced
from churn.simulation.scenario import Flags, Floats, Ints

MONTH_DAYS = 30.4375
TERM_DAYS = 365  # of a contract
NEVER = -1_000_000  # a day before all days: no contract end, no complaint
FORGOTTEN_DAYS = 365  # a contract that ended longer ago than this is on record as having no end

HANDSET_WITH_CONTRACT = 0.7  # of contracts bring a new handset
HANDSET_MONTHS = 24.0  # mean age of a handset that came without one

ENGAGEMENT_SD = 0.3  # of a customer's usage around his own level, as a log

# What the hazards come to, by months since joining, and so how old a base in balance is.
POSTPAID_HAZARD = np.concatenate([np.full(6, 0.003), np.full(5, 0.006), np.full(3, 0.038), np.full(166, 0.018)])
PREPAID_HAZARD = np.full(180, 0.0395)
RENEWED_SHARE = 0.13  # of customers beyond their first contract are bound again


@dataclass(frozen=True, slots=True)
class Standing:
    """One customer each place. Days are since 1970-01-01, NEVER where there is none.

    `engagement` is the usage against the customer's own level, as a log; `overage` the recent EUR a month beyond
    the plan, `extras` those of the last month and its roaming; `complaint_until` the day his last
    complaint is closed; `raised` what is left of a price rise, 1 to 0.
    """

    bound_until: Ints
    handset_since: Ints
    price: Floats
    engagement: Floats
    overage: Floats
    extras: Floats
    paid_late: Flags
    complaint_until: Ints
    raised: Floats

    def take(self, at: Ints) -> Standing:
        """The standing of the customers at these places."""
        return Standing(*(getattr(self, field.name)[at] for field in fields(self)))

    def seat(self, at: Ints, others: Standing) -> Standing:
        """The same standing, but for `others` at these places."""
        return Standing(*(replaced(getattr(self, f.name), at, getattr(others, f.name)) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Base:
    """The customers of a block, one each place: who they are and how they stand."""

    people: People
    standing: Standing

    def seat(self, at: Ints, others: Base) -> Base:
        """The same base, but for `others` at these places."""
        return Base(self.people.seat(at, others.people), self.standing.seat(at, others.standing))


def draw_joined_on(rng: np.random.Generator, prepaid: Flags, first: int) -> Ints:
    """When the customers of a base in balance joined, for the month that starts on day `first`."""
    months = np.where(prepaid, _ages(rng, PREPAID_HAZARD, len(prepaid)), _ages(rng, POSTPAID_HAZARD, len(prepaid)))
    start = np.int64(first).astype("datetime64[D]").astype("datetime64[M]")
    joined_on: Ints = (start - months).astype("datetime64[D]").astype(np.int64) + rng.integers(0, 28, len(prepaid))
    return joined_on


def survivors_frailty(frailty: Floats, prepaid: Flags, joined_on: Ints, first: int) -> Floats:
    """The frailty of those who are still there: the frail have left.

    A customer with log-odds z above average has survived a cumulated hazard H with a density tilted by
    exp(-H exp(z)), which shifts a normal of variance v by about -w where w exp(w) = v H, and narrows it to v / (1 + w).
    """
    months = _months_since(joined_on, first)
    cumulated = np.where(prepaid, np.cumsum(PREPAID_HAZARD)[months - 1], np.cumsum(POSTPAID_HAZARD)[months - 1])
    shift: Floats = np.log1p(FRAILTY_SD**2 * cumulated)
    for _ in range(5):  # Newton's steps to w exp(w) = v H
        shift -= (shift - FRAILTY_SD**2 * cumulated * np.exp(-shift)) / (1 + shift)
    left: Floats = frailty / np.sqrt(1 + shift) - shift
    return left


def first_standing(rng: np.random.Generator, people: People, first: int) -> Standing:
    """How customers of all tenures stand when the simulation starts."""
    joined = joining(rng, people)
    later = ~people.prepaid & (joined.bound_until < first)
    renewed = later & (rng.random(len(later)) < RENEWED_SHARE)
    bound_until = np.where(renewed, first + rng.integers(1, TERM_DAYS, len(later)), joined.bound_until)
    bound_until = np.where(bound_until < first - FORGOTTEN_DAYS, NEVER, bound_until)
    fresh = (bound_until > first) & (rng.random(len(later)) < HANDSET_WITH_CONTRACT)
    handset = np.where(fresh, bound_until - TERM_DAYS, first - _handset_age(rng, len(later)))
    engagement = ENGAGEMENT_SD * rng.standard_normal(len(later))
    return replace(_plain(people, bound_until, handset), engagement=engagement)


def joining(rng: np.random.Generator, people: People) -> Standing:
    """How a customer stands on the day he joins."""
    bound_until = np.where(people.prepaid, NEVER, people.joined_on + TERM_DAYS)
    fresh = ~people.prepaid & (rng.random(len(bound_until)) < HANDSET_WITH_CONTRACT)
    handset = np.where(fresh, people.joined_on, people.joined_on - _handset_age(rng, len(bound_until)))
    return _plain(people, bound_until, handset)


def _plain(people: People, bound_until: Ints, handset_since: Ints) -> Standing:
    rows = len(bound_until)
    return Standing(
        bound_until=bound_until,
        handset_since=handset_since,
        price=PLAN_PRICE[people.plan],
        engagement=np.zeros(rows),
        overage=np.zeros(rows),
        extras=np.zeros(rows),
        paid_late=np.zeros(rows, np.bool_),
        complaint_until=np.full(rows, NEVER, np.int64),
        raised=np.zeros(rows),
    )


def _ages(rng: np.random.Generator, hazard: Floats, rows: int) -> Ints:
    alive = np.cumprod(1 - np.concatenate([[0.0], hazard[:-1]]))
    return 1 + np.searchsorted(np.cumsum(alive / alive.sum()), rng.random(rows)).clip(max=len(hazard) - 1)


def _months_since(joined_on: Ints, first: int) -> Ints:
    month: np.int64 = np.int64(first).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    joined: Ints = joined_on.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return month - joined


def _handset_age(rng: np.random.Generator, rows: int) -> Ints:
    return np.floor(HANDSET_MONTHS * MONTH_DAYS * rng.exponential(size=rows)).astype(np.int64).clip(max=2500)
