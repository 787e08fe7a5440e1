"""The allocation is worth as much as the best that trying all of them finds, and so are its prices."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.allocation import MICRO, NEVER, NOWHERE, STAY, UNLIMITED, Capacity, Ints, allocate, in_micros, without_stay

# Few different worths make many ties; NEVER is where nobody may go.
WORTHS = st.sampled_from([NEVER, 1, 2, 3, 1_000_003, 5 * MICRO])


@st.composite
def markets(draw: st.DrawFn) -> tuple[Ints, Ints, Capacity]:
    customers, channels, teams = draw(st.integers(1, 5)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    row = st.lists(WORTHS, min_size=channels, max_size=channels)
    worth = draw(st.lists(row, min_size=customers, max_size=customers))
    team = draw(st.lists(st.integers(0, teams - 1), min_size=customers, max_size=customers))
    places = [
        draw(st.lists(st.integers(0, most), min_size=many, max_size=many)) for many, most in ((teams, 3), (channels, 4))
    ]
    return np.array(worth), np.array(team), Capacity(*(np.array(part) for part in places))


def fits(channel: Ints, worth: Ints, team: Ints, capacity: Capacity) -> bool:
    seated = np.flatnonzero(channel != NOWHERE)
    by_team = np.bincount(team[seated], minlength=len(capacity.teams))
    by_channel = np.bincount(channel[seated], minlength=len(capacity.channels))
    allowed = (worth[seated, channel[seated]] > NEVER).all()
    return bool(allowed and (by_team <= capacity.teams).all() and (by_channel <= capacity.channels).all())


def money(channel: Ints, worth: Ints) -> int:
    seated = np.flatnonzero(channel != NOWHERE)
    return int(worth[seated, channel[seated]].sum())


def most_money(worth: Ints, team: Ints, capacity: Capacity) -> int:
    customers, channels = worth.shape
    tried = (np.array(choice) for choice in product(range(NOWHERE, channels), repeat=customers))
    return max(money(channel, worth) for channel in tried if fits(channel, worth, team, capacity))


@settings(max_examples=150, deadline=None)
@given(markets())
def test_no_other_allocation_is_worth_more(market: tuple[Ints, Ints, Capacity]) -> None:
    worth, team, capacity = market
    allocated = allocate(worth, team, capacity)
    assert fits(allocated.channel, worth, team, capacity)
    assert money(allocated.channel, worth) == most_money(worth, team, capacity)


@settings(max_examples=100, deadline=None)
@given(markets())
def test_a_shadow_price_is_what_one_more_place_adds(market: tuple[Ints, Ints, Capacity]) -> None:
    worth, team, capacity = market
    allocated = allocate(worth, team, capacity)
    for place, price in enumerate(allocated.team_price):
        more = capacity.teams.copy()
        more[place] += 1
        gained = most_money(worth, team, Capacity(more, capacity.channels)) - money(allocated.channel, worth)
        assert price == gained


def large_market(seed: int) -> tuple[Ints, Ints]:
    random = np.random.default_rng(seed)
    worth = random.integers(1, 50 * MICRO, (3_000, 3))
    worth[random.random(worth.shape) < 0.3] = NEVER
    return worth, random.integers(0, 4, len(worth))


@pytest.mark.parametrize("seed", [1, 2])
def test_prices_prove_that_a_large_allocation_is_the_best(seed: int) -> None:
    """Duality: nobody gains by another channel at these prices, and only what is full has one."""
    worth, team = large_market(seed)
    capacity = Capacity(np.array([50, 60, 70, 400]), np.array([100, 120, UNLIMITED]))
    allocated = allocate(worth, team, capacity)
    assert fits(allocated.channel, worth, team, capacity)
    surplus = np.where(worth > NEVER, worth - allocated.channel_price, NEVER).max(axis=1) - allocated.team_price[team]
    bound = np.maximum(surplus, 0).sum() + (allocated.team_price * capacity.teams).sum()
    limited = capacity.channels < UNLIMITED
    bound += (allocated.channel_price * capacity.channels)[limited].sum()
    assert money(allocated.channel, worth) == bound
    assert (allocated.channel_price[~limited] == 0).all()


@pytest.mark.parametrize(("team", "channel"), [(3, UNLIMITED), (7, 3), (5, 3), (1_000, 3)])
def test_of_equals_the_first_have_the_places_whatever_is_short(team: int, channel: int) -> None:
    worth = np.full((7, 1), 5 * MICRO)
    allocated = allocate(worth, np.zeros(7, np.int64), Capacity(np.array([team]), np.array([channel])))
    assert allocated.channel.tolist() == [0, 0, 0] + [NOWHERE] * 4


def test_who_stays_has_a_place_before_anybody_who_is_worth_more() -> None:
    worth = np.array([[9 * MICRO], [1 * MICRO + STAY], [8 * MICRO]])
    allocated = allocate(worth, np.zeros(3, np.int64), Capacity(np.array([2]), np.array([UNLIMITED])))
    assert allocated.channel.tolist() == [0, 0, NOWHERE]
    assert without_stay(allocated.team_price).tolist() == [8 * MICRO]


def test_money_is_counted_in_millionths_and_what_cannot_be_is_never() -> None:
    counted = in_micros(np.array([1.25, -np.inf, 3e12, 1e-16]), np.array([True, False, True, True]))
    assert counted.tolist() == [1_250_000, NEVER, 10**15, 1]


def test_a_channel_without_places_takes_nobody() -> None:
    worth, team = np.full((40, 2), [5 * MICRO, MICRO]), np.zeros(40, np.int64)
    allocated = allocate(worth, team, Capacity(np.array([30]), np.array([0, 20])))
    assert np.bincount(allocated.channel + 1, minlength=3).tolist() == [20, 0, 20]
