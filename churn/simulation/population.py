"""Who the customers are: what each brings along and keeps for as long as he stays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from churn.simulation.scenario import Flags, Floats, Ints
from churn.simulation.tables import CHANNELS, GENDERS, METHODS
from churn.simulation.world import World

PREPAID_SHARE = 0.178  # 3.95 % a month of these and 1.65 % of the others make 2.06 % of all
FRAILTY_SD = 0.82  # of newcomers; the frail leave first, and .75 is left in the base
CONTACT_ALPHA, CONTACT_BETA = 3.0, 2.0  # the probability that a contact reaches the customer
HOUSEHOLD_SHARE = 0.45  # of pairs of slots that live together
MOVED_IN_SHARE = 0.45  # of newcomers into such a slot

GENDER_SHARES = (0.48, 0.48, 0.04)
CHANNEL_SHARES = (0.3, 0.3, 0.4)
POSTPAID_METHOD_SHARES = (0.55, 0.2, 0.0, 0.25)
PREPAID_METHOD_SHARES = (0.0, 0.3, 0.7, 0.0)
CONSENT_SHARE = 0.72
DO_NOT_CONTACT_SHARE = 0.04

LOG_MINUTES, LOG_MINUTES_SD = 5.1, 0.6  # of a month's voice minutes
LOG_DATA, LOG_DATA_SD = 1.9, 0.9  # of a month's gigabytes
PREPAID_LOG_LEVEL = -0.7  # prepaid customers talk and surf less

# Plans P1 and P2 are prepaid, P3 to P8 postpaid.
PLAN_PRICE = np.array([8.0, 15.0, 14.0, 19.0, 25.0, 32.0, 42.0, 55.0])
PLAN_GB = np.array([2.0, 8.0, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0])
PLAN_MINUTES = np.array([100.0, 300.0, 150.0, 250.0, 400.0, 700.0, 1500.0, 3000.0])
FIRST_POSTPAID, PLANS = 2, 8
PLAN_GUESS_BIAS, PLAN_GUESS_SD = 0.55, 0.55  # how far the log of the allowance a customer chooses is off his need


@dataclass(frozen=True, slots=True)
class People:
    """One customer each place. Days are since 1970-01-01; `household` is 0 where there is none; levels are logs."""

    number: Ints
    joined_on: Ints
    household: Ints
    prepaid: Flags
    region: Ints
    birth_year: Ints
    gender: Ints
    marketing_consent: Flags
    do_not_contact: Flags
    channel: Ints
    method: Ints
    frailty: Floats
    contactability: Floats
    log_minutes: Floats
    log_data: Floats
    forgetfulness: Floats
    plan: Ints

    def take(self, at: Ints) -> People:
        """The people at these places."""
        return People(*(getattr(self, field.name)[at] for field in fields(self)))

    def seat(self, at: Ints, others: People) -> People:
        """The same people, but for `others` at these places."""
        return People(*(replaced(getattr(self, f.name), at, getattr(others, f.name)) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Homes:
    """What belongs to the slot and not to its customer: segment, region, and household (0 where there is none)."""

    prepaid: Flags
    region: Ints
    household: Ints

    def take(self, at: Ints) -> Homes:
        """The homes at these places."""
        return Homes(self.prepaid[at], self.region[at], self.household[at])


def draw_homes(rng: np.random.Generator, world: World, slots: Ints) -> Homes:
    """Homes of these slots; two neighbouring slots may share a household, and then its region."""
    pair = np.arange(len(slots)) // 2
    shared = (rng.random(len(slots)) < HOUSEHOLD_SHARE)[pair]
    region = rng.choice(len(world.share), len(slots), p=world.share)
    return Homes(
        prepaid=rng.random(len(slots)) < PREPAID_SHARE,
        region=np.where(shared, region[pair], region),
        household=np.where(shared, slots // 2 + 1, 0),
    )


def draw_people(rng: np.random.Generator, homes: Homes, number: Ints, joined_on: Ints) -> People:
    """The people who come to these homes on these days."""
    rows = len(number)
    prepaid = homes.prepaid
    level = np.where(prepaid, PREPAID_LOG_LEVEL, 0.0)
    log_minutes = LOG_MINUTES + level + LOG_MINUTES_SD * rng.standard_normal(rows)
    log_data = LOG_DATA + level + LOG_DATA_SD * rng.standard_normal(rows)
    return People(
        number=number,
        joined_on=joined_on,
        household=homes.household,
        prepaid=prepaid,
        region=homes.region,
        birth_year=1948 + np.floor(60 * rng.beta(1.8, 1.6, rows)).astype(np.int64),
        gender=_choice(rng, GENDER_SHARES, rows, GENDERS),
        marketing_consent=rng.random(rows) < CONSENT_SHARE,
        do_not_contact=rng.random(rows) < DO_NOT_CONTACT_SHARE,
        channel=_choice(rng, CHANNEL_SHARES, rows, CHANNELS),
        method=_method(rng, prepaid),
        frailty=FRAILTY_SD * rng.standard_normal(rows),
        contactability=rng.beta(CONTACT_ALPHA, CONTACT_BETA, rows),
        log_minutes=log_minutes,
        log_data=log_data,
        forgetfulness=rng.beta(0.6, 7.0, rows),
        plan=_plan(rng, prepaid, log_data),
    )


def newcomers(rng: np.random.Generator, homes: Homes, number: Ints, joined_on: Ints) -> People:
    """The people who take over these slots; not each of them moves in with the household that is there."""
    moved_in = rng.random(len(number)) < MOVED_IN_SHARE
    return draw_people(rng, replace(homes, household=np.where(moved_in, homes.household, 0)), number, joined_on)


def replaced(values: np.ndarray, at: Ints, others: np.ndarray) -> np.ndarray:
    """A copy of the values with `others` at these places."""
    copy = values.copy()
    copy[at] = others
    return copy


def _choice(rng: np.random.Generator, shares: tuple[float, ...], rows: int, values: tuple[str, ...]) -> Ints:
    return rng.choice(len(values), rows, p=shares)


def _method(rng: np.random.Generator, prepaid: Flags) -> Ints:
    rows = len(prepaid)
    return np.where(
        prepaid,
        _choice(rng, PREPAID_METHOD_SHARES, rows, METHODS),
        _choice(rng, POSTPAID_METHOD_SHARES, rows, METHODS),
    )


def _plan(rng: np.random.Generator, prepaid: Flags, log_data: Floats) -> Ints:
    """The smallest plan that covers the need as the customer guesses it; whoever guesses low overspends."""
    guess = log_data + PLAN_GUESS_BIAS + PLAN_GUESS_SD * rng.standard_normal(len(prepaid))
    postpaid = FIRST_POSTPAID + np.searchsorted(np.log(PLAN_GB[FIRST_POSTPAID:-1]), guess)
    return np.where(prepaid, np.searchsorted(np.log(PLAN_GB[:1]), guess), postpaid)
