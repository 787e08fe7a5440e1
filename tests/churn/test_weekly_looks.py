"""Looking every week whether effects pay puts none in force that are not there, more often than was allowed once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
import pytest

from churn.off_policy import ERROR, NOTHING, Logged, Value, pays, surely_gained, value_gained
from churn.trial import NORMAL_95

YEARS, WEEKS, A_WEEK, KINDS = 300, 52, 80, 6
SHARE, RISK, VALUE = 0.3, 0.2, 100.0


def year(seed: int, keeps: float = 0.0) -> Iterator[Value]:
    """Each week's gain of sparing those kinds of customers for whom a free action seems to do no good.

    It `keeps` so much of the risk of one half of the kinds, and adds as much to that of the others: nothing at 0. One
    half of the customers teaches, and the other one judges, as trials do.
    """
    dice, size = np.random.default_rng(seed), WEEKS * A_WEEK
    kind, teaches, held_out = dice.integers(0, KINDS, size), dice.random(size) < 0.5, dice.random(size) < SHARE
    touched = RISK * np.where(kind % 2, 1.0 - keeps, 1.0 + keeps)
    left = dice.random(size) < np.where(held_out, RISK, touched)
    action, propensity = np.where(held_out, NOTHING, 0), np.where(held_out, SHARE, 1.0 - SHARE)
    for known in range(4 * A_WEEK, size + 1, A_WEEK):
        until = np.arange(size) < known
        rates = [
            np.bincount(kind[arm], left[arm], KINDS) / np.maximum(np.bincount(kind[arm], minlength=KINDS), 1)
            for arm in (until & teaches & held_out, until & teaches & ~held_out)
        ]
        judges = np.flatnonzero(until & ~teaches)
        chosen = np.where(rates[0] > rates[1], 0, NOTHING)[kind[judges]]
        logged = Logged(action[judges], propensity[judges], -VALUE * left[judges])
        yield value_gained(logged, chosen, np.zeros(len(judges), np.int64))


def test_a_year_of_looks_at_an_action_without_effect_puts_effects_in_force_at_most_once_in_twenty() -> None:
    years = [list(year(seed)) for seed in range(YEARS)]
    ours = np.mean([any(surely_gained(gained, look) > 0.0 for look, gained in enumerate(one, 1)) for one in years])
    naive = np.mean([any(map(pays, one)) for one in years])
    assert ours <= 0.05
    assert naive > 0.12, "and an interval that forgets how often it was looked at would do so far more often"


def test_what_is_there_is_found_within_the_year() -> None:
    years = [list(year(seed, keeps=0.7)) for seed in range(20)]
    found = [any(surely_gained(gained, look) > 0.0 for look, gained in enumerate(one, 1)) for one in years]
    assert np.mean(found) > 0.8


def test_the_parts_of_the_error_that_looks_spend_add_up_to_it() -> None:
    assert sum(ERROR / (look * (look + 1)) for look in range(1, 100_000)) == pytest.approx(ERROR, rel=1e-4)


def test_the_first_look_spends_half_of_the_error_and_later_ones_ask_for_more() -> None:
    gained = Value(2.0, 2.0 - NORMAL_95, 2.0 + NORMAL_95)
    assert surely_gained(gained, 1) == pytest.approx(2.0 - NormalDist().inv_cdf(1.0 - ERROR / 2.0))
    assert surely_gained(gained, 52, 3) < surely_gained(gained, 52) < surely_gained(gained, 2) < gained.low


def test_members_of_a_household_tell_less_than_as_many_strangers() -> None:
    money = np.repeat(np.random.default_rng(1).normal(size=500), 4)
    everybody = np.zeros(2_000, np.int64)
    strangers = Logged(everybody, np.full(2_000, 0.5), money)
    together = Logged(everybody, np.full(2_000, 0.5), money, np.arange(2_000) // 4)
    nobody = np.full(2_000, NOTHING)
    alone, shared = (value_gained(one, everybody, nobody) for one in (strangers, together))
    assert shared.high - shared.low == pytest.approx(2.0 * (alone.high - alone.low))
