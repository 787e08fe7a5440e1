"""Draws a wave: of all whom a contact is worth, those who get one and those who are held out to tell the effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    rank_within,
    without_stay,
)
from churn.profit import Floats
from schemas.policy import Policy

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Those of a part of the base who may be contacted and are worth it; all of shape (n,) but `worth`.

    `worth` [n, channels] is the expected value in money of the best action of each channel, -inf where there is none or
    the channel is closed. `household` is null where none is known. `staying` says who is in the wave already.
    """

    customer_id: pa.Array
    household: pa.Array
    team: Ints
    worth: Floats
    staying: Flags
    held_out: Flags


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


def draw(parts: Sequence[Candidates], policy: Policy) -> Wave:
    """The wave of all parts together; neither their order nor that of their rows changes it.

    The contacts are those that are worth most within the capacities. Who is held out takes no place, and is in the wave
    if he is worth as much as the last one listed: so listed and held out are alike, but for the lot.
    """
    sizes = [len(part.team) for part in parts]
    drawn = _drawn(_in_order(parts), policy)
    cuts = np.cumsum(sizes)[:-1]
    places = zip(np.split(drawn.channel, cuts), np.split(drawn.crowded_out, cuts), strict=True)
    return Wave(tuple(Places(*place) for place in places), drawn.shadow_prices)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """All candidates in order of their key, worth in millionths; `origin` is the place that each came from."""

    origin: Ints
    household: pa.Array
    team: Ints
    worth: Ints
    staying: Flags
    held_out: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    channel: Ints
    crowded_out: Flags
    shadow_prices: Floats


def _in_order(parts: Sequence[Candidates]) -> _Pool:
    keys = pa.concat_arrays([part.customer_id.cast(pa.string()) for part in parts])
    order = np.asarray(pc.sort_indices(keys)).astype(np.int64)
    worth = np.concatenate([part.worth for part in parts])[order]
    return _Pool(
        origin=order,
        household=pa.concat_arrays([part.household.cast(pa.string()) for part in parts]).take(pa.array(order)),
        team=np.concatenate([part.team for part in parts])[order],
        worth=in_micros(worth, worth > -np.inf),
        staying=np.concatenate([part.staying for part in parts])[order],
        held_out=np.concatenate([part.held_out for part in parts])[order],
    )


def _drawn(pool: _Pool, policy: Policy) -> _Drawn:
    crowded_out = _crowded_out(pool, policy.household_limit)
    treated = np.flatnonzero(~crowded_out & ~pool.held_out)
    capacity = _capacity(policy)
    allocated = allocate(_with_stay(pool, treated), pool.team[treated], capacity)
    channel = np.full(len(pool.team), NOWHERE, np.int64)
    channel[treated] = allocated.channel
    spared = np.flatnonzero(~crowded_out & pool.held_out)
    channel[spared] = _passed_over(pool, spared, _lasts(pool, channel, allocated, capacity), allocated.channel_price)
    shadow_prices = without_stay(allocated.team_price) / MICRO
    return _Drawn(_back(channel, pool.origin), _back(crowded_out, pool.origin), shadow_prices)


def _capacity(policy: Policy) -> Capacity:
    limits = [UNLIMITED if channel.capacity is None else channel.capacity for channel in policy.channels]
    return Capacity(np.array([team.capacity for team in policy.teams], np.int64), np.array(limits, np.int64))


def _crowded_out(pool: _Pool, limit: int | None) -> Flags:
    """Whom better members of the household leave no place; those who are in the wave already come first."""
    crowded = np.zeros(len(pool.team), np.bool_)
    living = np.flatnonzero(np.asarray(pc.is_valid(pool.household)))
    if limit is None or not len(living):
        return crowded
    homes = np.asarray(pool.household.take(pa.array(living)).dictionary_encode().indices).astype(np.int64)
    crowded[living] = rank_within(homes, _with_stay(pool, living).max(axis=1)) >= limit
    return crowded


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
