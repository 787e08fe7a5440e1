"""Three failures in a row open the breaker for two seconds, after which one request finds out for all."""

from __future__ import annotations

import pytest

from api.breaker import MOST_FAILURES, OPEN_SECONDS, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


@pytest.fixture
def opened(breaker: Breaker) -> Breaker:
    for _ in range(MOST_FAILURES):
        breaker.failed()
    return breaker


def test_fewer_failures_keep_nobody_out(breaker: Breaker):
    for _ in range(MOST_FAILURES - 1):
        breaker.failed()
    assert breaker.lets_in()


def test_a_success_between_failures_starts_the_count_anew(breaker: Breaker):
    for failed in (True, True, False, True, True):
        (breaker.failed if failed else breaker.succeeded)()
    assert not breaker.open


def test_open_it_lets_nobody_in_until_its_time_is_over(opened: Breaker, clock: Clock):
    assert not opened.lets_in()
    clock.now += OPEN_SECONDS - 0.01
    assert not opened.lets_in()


def test_then_one_tries_and_the_others_wait_for_what_becomes_of_it(opened: Breaker, clock: Clock):
    clock.now += OPEN_SECONDS
    assert [opened.lets_in() for _ in range(3)] == [True, False, False]
    opened.succeeded()
    assert opened.lets_in()


def test_a_failed_try_opens_it_for_as_long_again(opened: Breaker, clock: Clock):
    clock.now += OPEN_SECONDS
    assert opened.lets_in()
    opened.failed()
    clock.now += OPEN_SECONDS - 0.01
    assert not opened.lets_in()
    clock.now += 0.01
    assert opened.lets_in()


def test_who_met_nothing_of_what_is_guarded_leaves_the_try_to_the_next(opened: Breaker, clock: Clock):
    clock.now += OPEN_SECONDS
    assert opened.lets_in()
    opened.undecided()
    assert opened.open
    assert [opened.lets_in() for _ in range(2)] == [True, False]


def test_who_met_nothing_of_what_is_guarded_forgets_no_failure(breaker: Breaker):
    for _ in range(MOST_FAILURES):
        breaker.failed()
        breaker.undecided()
    assert breaker.open
