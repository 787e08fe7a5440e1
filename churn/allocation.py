"""Gives customers their places so that the sum of money is the greatest possible, however scarce those places are.

Each customer belongs to one team and may be contacted once, through one of a few channels. Teams and channels have so
many places. This is a flow of least cost; the customers are its arcs, so the graph has only as many nodes as there are
channels and teams. Channels first ask prices, which send nearly everybody where he belongs; the few whom the prices
leave too many are then moved one path at a time, each time along the path that loses least, which keeps the flow the
best of all for the places that it takes (successive shortest paths: Ahuja, Magnanti and Orlin 1993, chapter 9.7).

Money is counted in whole millionths, so that sums are exact and equal is equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOWHERE = -1
NEVER = -(2**60)  # the worth of what cannot be; two of them still add up to a 64-bit number
MICRO = 1_000_000
MOST_MONEY = 1e9
# What a customer who stays is worth beyond his money: more than any newcomer, so that nobody is put out for money.
STAY = 2**50
UNLIMITED = 2**40
# Prices are sought to a hundredth of a cent and until few are left too many; paths do the rest, exactly.
_CLOSE_ENOUGH, _FEW, _ROUNDS = MICRO // 10_000, 16, 40


class Capacity(NamedTuple):
    """The places of each team and of each channel."""

    teams: Ints
    channels: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """Who goes where, and what places are worth, in millionths of money.

    `channel` [n] is NOWHERE for those without a place. `team_price` is what one more place of the team would add to the
    sum, its shadow price; `channel_price` what the last place of a channel adds to it.
    """

    channel: Ints
    team_price: Ints
    channel_price: Ints


def in_micros(money: npt.NDArray[np.float64], possible: Flags) -> Ints:
    """Money as whole millionths, one at least, and NEVER where it is not possible."""
    bounded = np.minimum(np.where(possible, money, 0.0), MOST_MONEY)
    return np.where(possible, np.maximum(np.rint(bounded * MICRO), 1).astype(np.int64), NEVER)


def without_stay(price: Ints) -> Ints:
    """The money in a price, where customers who stay may have been exchanged for others."""
    return (price + STAY // 2) % STAY - STAY // 2


def allocate(worth: Ints, team: Ints, capacity: Capacity) -> Allocation:
    """The allocation that is worth most; among equals the one in which earlier rows come first.

    `worth` [n, channels] is NEVER or positive, `team` [n] is a place in `capacity.teams`.
    """
    kept = _within_reach(worth, team, capacity)
    seats = _Seats(worth[kept], team[kept], capacity)
    seats.fill(_asking_prices(seats))
    while len(crowded := np.flatnonzero(seats.crowding > 0)):
        seats.relieve(int(crowded[0]))
    loss, _ = seats.routes()
    channels = len(capacity.channels)
    channel = np.full(len(worth), NOWHERE, np.int64)
    channel[kept] = np.where(seats.node < channels, seats.node, NOWHERE)
    return Allocation(channel, loss[channels:], -loss[:channels])


def _within_reach(worth: Ints, team: Ints, capacity: Capacity) -> Ints:
    """The rows that can have a place, or would with one place more.

    In each channel that is as many of a team as it has places, since of better ones some are always free.
    """
    reached = np.zeros(len(worth), np.bool_)
    for gains in worth.T:
        there = np.flatnonzero(gains > NEVER)
        among = rank_within(team[there], gains[there])
        reached[there[among <= capacity.teams[team[there]]]] = True
    return np.flatnonzero(reached)


def rank_within(group: Ints, worth: Ints) -> Ints:
    """Each row's place among those of its group, from 0: the greatest worth first, of equals the earlier row."""
    order = np.lexsort((-worth, group))
    ranks = np.empty(len(order), np.int64)
    ordered = group[order]
    first = np.searchsorted(ordered, ordered)
    ranks[order] = np.arange(len(order)) - first
    return ranks


class _Seats:
    """Where everybody sits: `node` [n] is a channel, or behind the channels the team, for those who sit nowhere."""

    def __init__(self, worth: Ints, team: Ints, capacity: Capacity) -> None:
        self.worth, self.team, self.capacity = worth, team, capacity
        self.channels = worth.shape[1]
        self.home = self.channels + team
        self.node = self.home.copy()

    @property
    def crowding(self) -> Ints:
        """By how many each channel has more than its places, or fewer where it is negative."""
        return np.asarray(np.bincount(self.node, minlength=self.channels)[: self.channels] - self.capacity.channels)

    def fill(self, prices: Ints) -> None:
        """Everybody to the channel that is worth most to him after its price, as far as his team's places go."""
        self.node = self.home.copy()
        net = self.worth - prices
        choice = net.argmax(axis=1)
        surplus = net[np.arange(len(net)), choice]
        served = (rank_within(self.team, surplus) < self.capacity.teams[self.team]) & (surplus > 0)
        self.node[served] = choice[served]

    def relieve(self, crowded: int) -> None:
        """Moves as many out of a crowded channel as can go the same way at the same, least loss."""
        _, onward = self.routes()
        path = _path(crowded, onward)
        movers = [self._movers(*step) for step in path]
        crowding = self.crowding
        room = [crowding[crowded], *map(len, movers)]
        if path[-1][1] < self.channels:
            room.append(-crowding[path[-1][1]])
        for (_, to), who in zip(path, movers, strict=True):
            self.node[who[: min(room)]] = to

    def routes(self) -> tuple[Ints, Ints]:
        """From each node: the greatest gain of the moves that end where there is room, and the next node on that way.

        A customer may always end at his team, without a place. A node without moves of its own leads to NOWHERE.
        """
        gain = self._gains()
        ends = np.concatenate([self.crowding < 0, np.ones(len(self.capacity.teams), np.bool_)])
        best, onward = np.where(ends, 0, NEVER), np.full(len(ends), NOWHERE)
        while True:
            through = np.maximum(gain + best, NEVER)
            better = through.max(axis=1) > best
            if not better.any():
                return best, onward
            onward[better] = through[better].argmax(axis=1)
            best = np.maximum(best, through.max(axis=1))

    def _gains(self) -> Ints:
        """What the best single move from each node to each other one gains; [nodes, nodes]."""
        nodes = self.channels + len(self.capacity.teams)
        gains = np.full((nodes, nodes), NEVER)
        here = self._worth_here()
        for to in range(self.channels):
            moved = np.where((self.worth[:, to] > NEVER) & (self.node != to), self.worth[:, to] - here, NEVER)
            np.maximum.at(gains[:, to], self.node, moved)
        seated = np.flatnonzero(self.node < self.channels)
        np.maximum.at(gains, (self.node[seated], self.home[seated]), -here[seated])
        return gains

    def _movers(self, start: int, to: int) -> Ints:
        """Those whose move gains most: of equals the later rows leave a channel first, the earlier come in first."""
        there = np.flatnonzero((self.node == start) & ((to < self.channels) | (self.home == to)))
        if to < self.channels:
            there = there[self.worth[there, to] > NEVER]
        gained = self._worth_at(there, to) - self._worth_at(there, start)
        movers = there[gained == gained.max()]
        return np.asarray(movers if start >= self.channels else movers[::-1])

    def _worth_here(self) -> Ints:
        seated = self.node < self.channels
        columns = np.where(seated, self.node, 0)
        return np.where(seated, self.worth[np.arange(len(columns)), columns], 0)

    def _worth_at(self, rows: Ints, node: int) -> Ints:
        return self.worth[rows, node] if node < self.channels else np.zeros(len(rows), np.int64)


def _path(start: int, onward: Ints) -> list[tuple[int, int]]:
    path = []
    while (to := int(onward[start])) != NOWHERE:
        path.append((start, to))
        start = to
    return path


def _asking_prices(seats: _Seats) -> Ints:
    """Prices at which each channel that has one is still full or more than full, as high as may be.

    A channel raises its price while too many want it; that sends customers to the others, never away from them, so that
    no earlier channel falls short of its places.
    """
    prices = np.zeros(seats.channels, np.int64)
    seats.fill(prices)
    for _ in range(_ROUNDS):
        crowded = np.flatnonzero(seats.crowding > _FEW)
        if not len(crowded):
            break
        for channel in crowded:
            prices[channel] = _raised(seats, prices, int(channel))
            seats.fill(prices)
    return prices


def _raised(seats: _Seats, prices: Ints, channel: int) -> int:
    """The highest price, to the cent, at which the channel is not short of customers."""
    trial, low, step, overshot = prices.copy(), int(prices[channel]), MICRO, False
    highest = seats.worth[:, channel].max()
    while step > _CLOSE_ENOUGH and low < highest:
        trial[channel] = low + step
        seats.fill(trial)
        if seats.crowding[channel] >= 0:
            low += step
        else:
            overshot = True
        step = step // 2 if overshot else step * 2
    return low
