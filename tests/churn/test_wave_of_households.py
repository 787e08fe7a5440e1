"""The wave of small bases whose households have a limit, against the best of all ways to fill the places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from churn.allocation import NOWHERE
from churn.wave import Candidates, draw
from schemas.policy import Action, Channel, Policy, Team

BASES = 150
CALL = Action(name="call", channel="phone", offer_cost=0, contact_cost=0, keep_probability=0.5, says="Ask.")


@dataclass(frozen=True)
class Base:
    """What each customer is worth, his team and his household; the teams' places."""

    worth: np.ndarray
    team: np.ndarray
    home: list[str | None]
    places: tuple[int, ...]

    def more(self, team: int) -> Base:
        """The base with one place more in a team."""
        return replace(self, places=tuple(count + (number == team) for number, count in enumerate(self.places)))

    def drawn(self) -> tuple[float, np.ndarray]:
        """What those in the wave are worth together, and the teams' shadow prices."""
        count = len(self.team)
        nobody = np.zeros(count, np.bool_)
        keys = pa.array([f"c{number}" for number in range(count)])
        home = pa.array(self.home, pa.string())
        wave = draw([Candidates(keys, home, self.team, self.worth[:, None], nobody, nobody)], self.policy())
        return float(self.worth[wave.parts[0].channel != NOWHERE].sum()), wave.shadow_prices

    def policy(self) -> Policy:
        """One member of a household at most."""
        north, south = self.places
        return Policy(
            name="homes",
            version="1.0.0",
            description="Homes.",
            actions=(CALL,),
            channels=(Channel(name="phone"),),
            team_by="region",
            teams=(Team(name="north", capacity=north, of=("N",)), Team(name="south", capacity=south)),
            household_limit=1,
        )

    def best(self) -> float:
        """The most that any way to fill the places is worth."""
        rows = range(len(self.team))
        ways = (way for size in range(sum(self.places) + 1) for way in combinations(rows, size))
        return max(float(self.worth[list(way)].sum()) for way in ways if self._may_be(way))

    def _may_be(self, way: tuple[int, ...]) -> bool:
        taken = Counter(self.team[list(way)].tolist())
        homes = [self.home[row] for row in way if self.home[row]]
        return len(set(homes)) == len(homes) and all(taken[number] <= most for number, most in enumerate(self.places))


def bases(*, in_one_team: bool) -> list[Base]:
    """Small ones by chance, whose households are of one team, or spread over both."""
    dice, made = np.random.default_rng(3), []
    for _ in range(BASES):
        count = dice.integers(3, 9)
        home = [None if number == 0 else f"h{number}" for number in dice.integers(0, 4, count)]
        team = dice.integers(0, 2, count)
        if in_one_team:
            team = np.array([int(name[1:]) % 2 if name else own for name, own in zip(home, team, strict=True)])
        places = tuple(dice.integers(0, 4, 2).tolist())
        made.append(Base(dice.integers(1, 20, count).astype(np.float64), team, home, places))
    return made


@pytest.mark.parametrize(("in_one_team", "exact"), [(True, BASES), (False, 0.98 * BASES)])
def test_with_households_the_wave_is_worth_the_most_that_can_be(in_one_team: bool, exact: float) -> None:
    """Exactly so where households are of one team; where they are of several, in nearly all cases."""
    found = [(base.drawn()[0], base.best()) for base in bases(in_one_team=in_one_team)]
    assert sum(worth == best for worth, best in found) >= exact
    assert all(worth >= 0.8 * best for worth, best in found)


@pytest.mark.parametrize(("in_one_team", "exact"), [(True, 2 * BASES), (False, 0.98 * 2 * BASES)])
def test_with_households_a_shadow_price_is_what_one_place_more_adds(in_one_team: bool, exact: float) -> None:
    right = 0
    for base in bases(in_one_team=in_one_team):
        worth, prices = base.drawn()
        right += sum(base.more(team).drawn()[0] - worth == pytest.approx(prices[team]) for team in (0, 1))
    assert right >= exact
