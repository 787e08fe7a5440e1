"""Draws a wave: of all whom a contact is worth, those who get one and those who are held out to tell the effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.allocation import (
    MICRO,
    NEVER,
    NOWHERE,
    STAY,
    UNLIMITED,
    Allocation,
    Capacity,
    allocate,
    in_micros,
    without_stay,
)
from churn.profit import Floats
from schemas.policy import Policy

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_EXCHANGES = 12  # tries at most, each of them an allocation


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Those of a part of the base who may be contacted and are worth it; all of shape (n,) but `worth`.

    `worth` [n, channels] is the expected value in money of the best action of each channel, -inf where there is none or
    the channel is closed. `household` is null where none is known. `staying` says who is in the wave already.
    `homes_lately` has the household of each customer of the part who is no candidate and was in a wave lately.
    """

    customer_id: pa.Array
    household: pa.Array
    team: Ints
    worth: Floats
    staying: Flags
    held_out: Flags
    homes_lately: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What became of candidates: their channel in the wave, else NOWHERE; and whom the household's limit kept out."""

    channel: Ints
    crowded_out: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """The places of each part's candidates, and what one more place of each team would add, in money."""

    parts: tuple[Places, ...]
    shadow_prices: Floats


def draw(parts: Sequence[Candidates], policy: Policy, away: pa.Array | None = None) -> Wave:
    """The wave of all parts together; neither their order nor that of their rows changes it.

    `away` has the household of each who was in a wave lately and is in none of the parts.

    The contacts are those that are worth most within the capacities. Who is held out takes no place, and is in the wave
    if he is worth as much as the last one listed: so listed and held out are alike, but for the lot. Where the limit of
    a household keeps members back, the next one has the place of whom nobody has one for; where these have several
    teams, or wait for a scarce channel, that is nearly always, not surely, the best there is (see `Policy`).
    """
    sizes = [len(part.team) for part in parts]
    drawn = _drawn(_in_order(parts, pa.nulls(0, pa.string()) if away is None else away), policy)
    cuts = np.cumsum(sizes)[:-1]
    places = zip(np.split(drawn.channel, cuts), np.split(drawn.crowded_out, cuts), strict=True)
    return Wave(tuple(Places(*place) for place in places), drawn.shadow_prices)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """All candidates in order of their key, worth in millionths.

    `origin` is the place that each came from, `lately` how many others of the household were in a wave lately.
    """

    origin: Ints
    household: pa.Array
    lately: Ints
    team: Ints
    worth: Ints
    staying: Flags
    held_out: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    channel: Ints
    crowded_out: Flags
    shadow_prices: Floats


def _in_order(parts: Sequence[Candidates], away: pa.Array) -> _Pool:
    keys = pa.concat_arrays([part.customer_id.cast(pa.string()) for part in parts])
    order = np.asarray(pc.sort_indices(keys)).astype(np.int64)
    worth = np.concatenate([part.worth for part in parts])[order]
    household = pa.concat_arrays([part.household.cast(pa.string()) for part in parts]).take(pa.array(order))
    return _Pool(
        origin=order,
        household=household,
        lately=_times(household, pa.concat_arrays([away, *(part.homes_lately.cast(pa.string()) for part in parts)])),
        team=np.concatenate([part.team for part in parts])[order],
        worth=in_micros(worth, worth > -np.inf),
        staying=np.concatenate([part.staying for part in parts])[order],
        held_out=np.concatenate([part.held_out for part in parts])[order],
    )


def _times(homes: pa.Array, named: pa.Array) -> Ints:
    """How often each home is named. Shape (n,)."""
    counted = pc.value_counts(named.drop_null())
    place = pc.index_in(homes, counted.field("values"))
    return np.asarray(pc.fill_null(counted.field("counts").take(place), 0))


def _drawn(pool: _Pool, policy: Policy) -> _Drawn:
    """Draws until no household has a place left that one of its waiting members would fill, and then exchanges some."""
    capacity, homes = _capacity(policy), _homes(pool, policy.household_limit)
    passed = np.zeros(len(pool.team), np.bool_)
    while True:
        entered = homes.entered(~passed)
        seating = _seated(pool, entered, capacity)
        unseated, waiting, fit = entered & ~seating.seated, ~entered & ~passed, _surplus(pool, seating) > 0
        served = homes.of_any(unseated) & homes.of_any(waiting & fit)
        if not served.any():
            break
        passed |= served & (unseated | (waiting & ~fit))  # places only get dearer: who does not fit now never will
    if passed.any():  # for nobody's good, some of them: they come back, since one more place could be theirs
        entered = homes.entered(np.ones(len(passed), np.bool_), by=seating.seated.astype(np.int64))
        seating = _seated(pool, entered, capacity)
    entered, seating = _exchanged(pool, homes, entered, seating)
    shadow_prices = without_stay(_team_prices(pool, homes, entered, seating)) / MICRO
    return _Drawn(_back(seating.channel, pool.origin), _back(~entered & ~passed, pool.origin), shadow_prices)


def _exchanged(pool: _Pool, homes: _Homes, entered: Flags, seating: _Seating) -> tuple[Flags, _Seating]:
    """Lets members of households give way to others of them whose places cost less, as far as all together earn more.

    Who is worth most may have a place that a stranger would fill nearly as well, while his own have one that nobody
    wants: in another team, or through another channel. Many exchanges at once move prices, and may earn less than the
    half of them that promises most.
    """
    most = len(entered)
    for _ in range(_EXCHANGES):
        surplus = np.maximum(_surplus(pool, seating), 0)
        best = homes.entered(np.ones(len(entered), np.bool_), by=surplus)
        gain = homes.each(np.where(best, surplus, 0) - np.where(entered, surplus, 0), np.add)
        chosen = homes.first_by(gain, most)
        if not chosen.any():
            break
        trial = np.where(chosen, best, entered)
        exchanged = _seated(pool, trial, seating.capacity)
        if exchanged.money > seating.money:
            entered, seating, most = trial, exchanged, len(entered)
        else:
            most = homes.count(chosen) // 2
    return entered, seating


def _team_prices(pool: _Pool, homes: _Homes, entered: Flags, seating: _Seating) -> Ints:
    """What one more place of each team would add: to the next one there, or to a member of a household who waits.

    The latter sends back the least of those of his household who have a place, whose own place is then free.
    """
    prices, net = seating.allocated.team_price, _after_channels(pool, seating)
    waiting = np.flatnonzero(~entered & ~pool.held_out & (net > 0))
    for _ in range(len(prices) if len(waiting) else 0):
        given_up = np.where(seating.seated, net - prices[pool.team], 0)
        least = homes.each(np.where(entered, given_up, -NEVER), np.minimum)
        raised = prices.copy()
        np.maximum.at(raised, pool.team[waiting], net[waiting] - least[waiting])
        if (raised == prices).all():
            break
        prices = raised
    return prices


@dataclass(frozen=True, slots=True, eq=False)
class _Seating:
    """The channels of those who may be in the wave, were they alone, NOWHERE for all others; and the prices there."""

    channel: Ints
    allocated: Allocation
    capacity: Capacity
    money: int  # what those listed are worth together, each who stays more than all others

    @property
    def seated(self) -> Flags:
        return np.asarray(self.channel != NOWHERE)


def _seated(pool: _Pool, entered: Flags, capacity: Capacity) -> _Seating:
    treated, spared = np.flatnonzero(entered & ~pool.held_out), np.flatnonzero(entered & pool.held_out)
    worth = _with_stay(pool, treated)
    allocated = allocate(worth, pool.team[treated], capacity)
    listed = np.flatnonzero(allocated.channel != NOWHERE)
    channel = np.full(len(pool.team), NOWHERE, np.int64)
    channel[treated] = allocated.channel
    channel[spared] = _passed_over(pool, spared, _lasts(pool, channel, allocated, capacity), allocated.channel_price)
    return _Seating(channel, allocated, capacity, sum(worth[listed, allocated.channel[listed]].tolist()))


def _capacity(policy: Policy) -> Capacity:
    limits = [UNLIMITED if channel.capacity is None else channel.capacity for channel in policy.channels]
    return Capacity(np.array([team.capacity for team in policy.teams], np.int64), np.array(limits, np.int64))


def _surplus(pool: _Pool, seating: _Seating) -> Ints:
    """What each is worth more than a place costs, in his team and in the channel where that is most."""
    return np.asarray(_after_channels(pool, seating) - seating.allocated.team_price[pool.team])


def _after_channels(pool: _Pool, seating: _Seating) -> Ints:
    """What each is worth after the price of the channel where that leaves most."""
    worth = _with_stay(pool, np.arange(len(pool.team)))
    return np.asarray(np.where(worth > NEVER, worth - seating.allocated.channel_price, NEVER).max(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class _Homes:
    """The order in which members of households enter the wave, and how many may; each row without one is its own.

    `order` has the rows by household, in each those who stay first and then those who are worth most; `start` [n] is
    where the household of each of these begins, `room` [n] how many of it may enter.
    """

    order: Ints
    start: Ints
    room: Ints

    def entered(self, willing: Flags, by: Ints | None = None) -> Flags:
        """The first of the willing in each household, as many as may; those with the greatest `by` before others."""
        order = self.order
        if by is not None:
            order = order[np.lexsort((-by[order], self.start))]
        before = _count_before(willing[order])
        found = np.zeros(len(order), np.bool_)
        found[order] = willing[order] & (before - before[self.start] < self.room)
        return found

    def each(self, values: Ints, of: np.ufunc) -> Ints:
        """For each row what the function makes of the values of its household: their sum, or the least of them."""
        begins = self._begins
        made = of.reduceat(values[self.order], np.flatnonzero(begins)) if len(values) else values
        found = np.empty(len(self.order), np.int64)
        found[self.order] = made[np.cumsum(begins) - 1]
        return found

    def first_by(self, gain: Ints, most: int) -> Flags:
        """All members of so many of the households that gain something, those that gain most."""
        heads = self.order[self._begins]
        heads = heads[gain[heads] > 0]
        chosen = np.zeros(len(gain), np.bool_)
        chosen[heads[np.argsort(-gain[heads], kind="stable")][:most]] = True
        return self.of_any(chosen)

    def count(self, some: Flags) -> int:
        """How many households there are of which all members are among some."""
        return int(np.count_nonzero(some[self.order] & self._begins))

    def of_any(self, some: Flags) -> Flags:
        """All members of the households of some."""
        theirs = np.zeros(len(self.order), np.bool_)
        theirs[self.start[some[self.order]]] = True
        found = np.empty(len(self.order), np.bool_)
        found[self.order] = theirs[self.start]
        return found

    @property
    def _begins(self) -> Flags:
        return np.asarray(self.start == np.arange(len(self.start)))


def _homes(pool: _Pool, limit: int | None) -> _Homes:
    rows = np.arange(len(pool.team))
    living = np.asarray(pc.is_valid(pool.household))
    if limit is None or not living.any():
        return _Homes(rows, rows, np.ones(len(rows), np.int64))
    home = np.asarray(pc.fill_null(pool.household.dictionary_encode().indices, 0)).astype(np.int64)
    home = np.where(living, home, len(rows) + rows)
    order = np.lexsort((-_with_stay(pool, rows).max(axis=1), home))
    start = np.searchsorted(home[order], home[order])
    room = np.where(living, np.maximum(limit - pool.lately, 0), 1)
    return _Homes(order, start, room[order])


def _count_before(flags: Flags) -> Ints:
    return np.asarray(np.cumsum(flags) - flags)


def _with_stay(pool: _Pool, rows: Ints) -> Ints:
    """What the rows are worth in each channel, those who stay more than all others."""
    worth = pool.worth[rows]
    return np.where(worth > NEVER, worth + STAY * pool.staying[rows, None], NEVER)


@dataclass(frozen=True, slots=True, eq=False)
class _Lasts:
    """For each team the last newcomer on its list: what he is worth after his channel's price, and his place by key."""

    surplus: Ints
    place: Ints


def _lasts(pool: _Pool, channel: Ints, allocated: Allocation, capacity: Capacity) -> _Lasts:
    """Where a team is not full its list has no last one: all are in whom the prices of the channels let in."""
    listed = np.flatnonzero(channel != NOWHERE)
    taken = np.bincount(pool.team[listed], minlength=len(capacity.teams))
    surplus = np.where(taken < capacity.teams, 0, -NEVER)
    place = np.full(len(taken), NOWHERE, np.int64)
    fresh = listed[~pool.staying[listed]]
    theirs = pool.worth[fresh, channel[fresh]] - allocated.channel_price[channel[fresh]]
    full = taken[pool.team[fresh]] >= capacity.teams[pool.team[fresh]]
    np.minimum.at(surplus, pool.team[fresh][full], theirs[full])
    last = theirs == surplus[pool.team[fresh]]
    np.maximum.at(place, pool.team[fresh][last], fresh[last])
    return _Lasts(surplus, place)


def _passed_over(pool: _Pool, rows: Ints, lasts: _Lasts, prices: Ints) -> Ints:
    """The channels of those who are held out, had they been on the list; NOWHERE for who would not have been."""
    net = np.where(pool.worth[rows] > NEVER, pool.worth[rows] - prices, NEVER)
    choice = net.argmax(axis=1)
    surplus, last = net.max(axis=1, initial=NEVER), lasts.surplus[pool.team[rows]]
    in_time = (surplus == last) & (rows <= lasts.place[pool.team[rows]])
    return np.where((surplus > last) | in_time | pool.staying[rows], choice, NOWHERE)


def _back(values: npt.NDArray[np.generic], origin: Ints) -> npt.NDArray:  # type: ignore[type-arg]
    there = np.empty_like(values)
    there[origin] = values
    return there
