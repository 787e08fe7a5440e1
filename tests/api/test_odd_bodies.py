"""What is no customer is refused by its exact status, shortly, and never scored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.app import create_app
from store.settings import read_settings
from tests.api.odd_bodies import ODD_BODIES, OddBody
from tests.api.service import TINY, Ask, promoted, running

PATH = "/api/v1/predictions"
LONGEST_ANSWER = 4_000  # bytes
HOW_MANY = 38


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """One service for all of them: what none of them changes need not be made anew."""
    settings = read_settings({"CHURN_HOME": str(tmp_path_factory.mktemp("home")), "CHURN_MODE": "development"})
    promoted(settings)
    with running(create_app(settings, TINY.name)) as asked:
        yield asked


@pytest.mark.parametrize("odd", ODD_BODIES, ids=lambda odd: odd.name)
def test_an_odd_body_is_refused_shortly_and_not_scored(ask: Ask, odd: OddBody):
    answer = ask("POST", PATH, content=odd.body, headers={"content-type": odd.kind} if odd.kind else {})
    assert (answer.status_code, answer.headers["content-type"]) == (odd.status, "application/problem+json")
    assert len(answer.content) < LONGEST_ANSWER
    assert answer.json()["status"] == odd.status
    assert "probability" not in answer.json()


def test_there_are_as_many_as_were_promised_and_each_is_another():
    assert len({odd.body + (odd.kind or "").encode() for odd in ODD_BODIES}) == len(ODD_BODIES) == HOW_MANY
