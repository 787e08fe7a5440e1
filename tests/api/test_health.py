"""The service is ready once its champion is verified and its database answers; until then it says what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.app import create_app
from churn.scorecard import Scorecard
from schemas.odcs_text import contract_text
from store.artifacts import model_folder
from store.registry import Promotion, Version, open_registry
from store.service_settings import ServiceSettings
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, Ask, promoted, registered, running
from tests.models import estimator

SOON = ServiceSettings(poll_seconds=0.02)
NOBODY_LISTENS = "postgresql+psycopg://churn:secret@127.0.0.1:1/churn"


@pytest.fixture
def ask_in_vain(settings: Settings) -> Iterator[Ask]:
    """A service whose database is not there."""
    with running(create_app(replace(settings, database_url=NOBODY_LISTENS), TINY.name, SOON)) as asked:
        yield asked


def soon(seen: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it is seen before the time is over, which a busy machine needs more of."""
    ends = time.monotonic() + seconds
    while not seen() and time.monotonic() < ends:
        time.sleep(0.01)
    return seen()


def missing(ask: Ask) -> dict[str, str]:
    answer = ask("GET", "/health/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    return answer.json()["missing"]


def test_ready_names_the_model_that_answers(ask: Ask, champion: Version):
    answer = ask("GET", "/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "contract": "tiny",
        "model": {"version": 1, "digest": champion.digest},
        "warnings": {"scores": "No night has been published yet: look-ups find nobody."},
    }


def test_without_a_champion_the_service_starts_and_is_ready_once_there_is_one(settings: Settings):
    with running(create_app(settings, TINY.name, SOON)) as ask:
        assert missing(ask) == {"champion": "No model is champion. Train one first."}
        assert ask("POST", "/api/v1/predictions", json={}).json()["type"] == "urn:problem-type:churn:no-champion"
        promoted(settings)
        assert soon(lambda: ask("GET", "/health/ready").status_code == 200)
        assert ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).status_code == 200


def test_a_model_that_was_changed_on_disk_never_answers(settings: Settings, champion: Version):
    cells = model_folder(champion.digest, settings) / "cells.npy"
    cells.write_bytes(cells.read_bytes()[:-1] + b"\x00")
    with running(create_app(settings, TINY.name)) as ask:
        assert "its sha256 is not the one it was saved with" in missing(ask)["champion"].lower()
        answer = ask("POST", "/api/v1/predictions", json={"customer_id": "C1"})
        assert answer.status_code == 503
        assert str(settings.artifacts) not in answer.text


def test_a_model_whose_contract_lacks_a_feature_never_answers(settings: Settings):
    without_plan = cards.contract(cards.COLUMNS[:-1])
    promoted(settings, contract=replace(without_plan, text=contract_text(without_plan)))
    with running(create_app(settings, TINY.name)) as ask:
        assert "lacks plan" in missing(ask)["champion"]


@pytest.mark.parametrize("segment", ["all", "prepaid"])
def test_a_champion_that_is_no_scorecard_never_answers(settings: Settings, segment: str):
    if segment != "all":
        promoted(settings)
    promoted(settings, estimator("logistic_regression").model, segment=segment)
    with running(create_app(settings, TINY.name)) as ask:
        assert "It is a logistic_regression, not a scorecard" in missing(ask)["champion"]
        assert ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).status_code == 503


def test_a_dead_database_is_named_and_keeps_its_secrets(ask_in_vain: Ask):
    assert set(missing(ask_in_vain)) == {"champion", "database"}
    answer = ask_in_vain("GET", "/api/v1/customers/C1")
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    assert "secret" not in answer.text


def test_a_dead_database_does_not_keep_predictions_from_being_made(settings: Settings, champion: Version):
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    with running(create_app(settings, TINY.name, SOON)) as ask:
        aside(database)
        assert ask("GET", "/api/v1/customers/C1").status_code == 503
        assert soon(lambda: ask("GET", "/health/ready").status_code == 503)
        assert set(missing(ask)) == {"database"}
        assert ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).status_code == 200
        back(database)
        assert soon(lambda: ask("GET", "/health/ready").status_code == 200)


def aside(database: Path) -> None:
    database.rename(database.with_suffix(".away"))
    for beside in database.parent.glob(f"{database.name}-*"):
        beside.unlink()
    database.mkdir()


def back(database: Path) -> None:
    database.rmdir()
    database.with_suffix(".away").rename(database)


def test_a_new_champion_is_taken_over_while_the_service_runs(settings: Settings, champion: Version):
    with running(create_app(settings, TINY.name, SOON)) as ask:
        newer = in_place_of(champion, settings, cards.card())
        assert soon(lambda: ask("GET", "/health/ready").json()["model"]["digest"] == newer.digest)
        answer = ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).json()
        assert answer["model"] == {"version": 2, "digest": newer.digest}


def test_the_last_good_champion_answers_while_a_new_one_is_refused(settings: Settings, champion: Version):
    with running(create_app(settings, TINY.name, SOON)) as ask:
        newer = in_place_of(champion, settings, cards.card(), damaged=True)
        assert soon(lambda: "champion" in ask("GET", "/health/ready").json()["warnings"])
        ready = ask("GET", "/health/ready")
        assert (ready.status_code, ready.json()["model"]["digest"]) == (200, champion.digest)
        assert "its sha256 is not the one it was saved with" in ready.json()["warnings"]["champion"].lower()
        assert newer.digest not in ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).text


def in_place_of(champion: Version, settings: Settings, card: Scorecard, *, damaged: bool = False) -> Version:
    """The next champion; a damaged one has another byte at the end of a file than it was saved with."""
    number = registered(settings, replace(card, intercept=-2.5))
    registry = open_registry(settings)
    newer = registry.version(TINY.name, number)
    if damaged:
        cells = model_folder(newer.digest, settings) / "cells.npy"
        cells.write_bytes(cells.read_bytes()[:-1] + b"\x00")
    registry.promote(
        Promotion(TINY.name, number, champion.version, who="tests", why="the next", segments=("all",), override=True)
    )
    return newer


@pytest.mark.usefixtures("before_the_first_night")
def test_before_the_first_night_a_look_up_says_that_there_is_none(ask: Ask):
    answer = ask("GET", "/api/v1/customers/C1")
    assert answer.status_code == 503
    assert "no night was published yet" in answer.json()["detail"]


def test_live_touches_nothing(ask_in_vain: Ask):
    assert ask_in_vain("GET", "/health/live").json() == {"status": "alive"}
