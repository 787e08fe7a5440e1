"""Every error leaves in one shape, under the status of the table, and tells nothing of the inside."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from api.problems import TITLES, answer_with_problems
from churn import errors
from churn.errors import ChurnError
from tests.api.service import Ask, running

WHERE = "/srv/secret/place"

FAMILY = [
    # error                    status  type
    (errors.NoChampion, 503, "no-champion"),
    (errors.ArtifactRefused, 503, "artifact-refused"),
    (errors.PromotionRefused, 409, "promotion-refused"),
    (errors.AlreadyRunning, 409, "already-running"),
    (errors.Fenced, 409, "fenced"),
    (errors.RequestError, 422, "request-error"),
    (errors.ContractError, 500, "contract-error"),
    (errors.SourceMismatch, 500, "source-mismatch"),
]


def failing(error: Exception) -> FastAPI:
    app = FastAPI()
    answer_with_problems(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(("kind", "status", "name"), FAMILY, ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_error_of_the_family_has_its_status(kind: type[ChurnError], status: int, name: str):
    with running(failing(kind("it went wrong", where=WHERE, to_do="Try this."))) as ask:
        answer = ask("GET", "/")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert kind.__doc__
    assert answer.json() == {
        "type": f"urn:problem-type:churn:{name}",
        "title": TITLES.get(kind) or kind.__doc__.splitlines()[0].rstrip("."),
        "status": status,
        "detail": "It went wrong. Try this.",
    }


def test_an_unforeseen_error_says_nothing_of_the_inside():
    with running(failing(ZeroDivisionError(WHERE)), raise_errors=False) as ask:
        answer = ask("GET", "/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == "The service failed. Its log says more."


@pytest.mark.parametrize("kind", [DataError, IntegrityError])
def test_what_the_database_cannot_take_is_no_outage(kind: type[DBAPIError]):
    with running(failing(kind("INSERT", {}, ValueError(WHERE)))) as ask:
        answer = ask("GET", "/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == "The service failed. Its log says more."


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/health/live", 405), ("GET", "/redoc", 404)]
)
def test_what_the_service_does_not_offer_is_a_problem_too(ask: Ask, method: str, path: str, status: int):
    answer = ask(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["title"] == HTTPStatus(status).phrase
    assert ("allow" in answer.headers) == (status == 405)
