"""Every error leaves in one shape, under the status of the table, and tells nothing of the inside."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from api import admission, deadline, problems, security
from api.problems import NEXT_STEP, TITLES, UNFORESEEN, Problem, answer_with_problems, plain_problem
from churn import errors
from churn.errors import ChurnError
from tests.api.service import Ask, running
from tests.house.test_house_rules import ROOT

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
    assert answer.json()["detail"] == UNFORESEEN


@pytest.mark.parametrize("kind", [DataError, IntegrityError])
def test_what_the_database_cannot_take_is_no_outage(kind: type[DBAPIError]):
    with running(failing(kind("INSERT", {}, ValueError(WHERE)))) as ask:
        answer = ask("GET", "/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == UNFORESEEN


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/health/live", 405), ("GET", "/redoc", 404)]
)
def test_what_the_service_does_not_offer_is_a_problem_too(ask: Ask, method: str, path: str, status: int):
    answer = ask(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["title"] == HTTPStatus(status).phrase
    assert ("allow" in answer.headers) == (status == 405)


VERBS = "ask|tell|check|correct|send|look|leave|use|get|post|see|close|wait"
TO_DO = re.compile(rf"(^|[.:] |, and |, or )({VERBS})\b|His /history names|models names", re.IGNORECASE)
REFUSING = ("HTTPException", "plain_problem")
WORDED = (ast.Constant, ast.Name, ast.JoinedStr)


def refusals() -> Iterator[tuple[str, str, str]]:
    """Where api/ tells a problem, under which status as it is written, and in which words; an X is a request's own."""
    for path in sorted((ROOT / "api").glob("*.py")):
        module = vars(importlib.import_module(f"api.{path.stem}"))
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in REFUSING and isinstance(call.args[1], WORDED):
                yield f"{path.name}:{call.lineno}", ast.unparse(call.args[0]), words_of(call.args[1], module)


def words_of(told: ast.expr, module: Mapping[str, Any]) -> str:
    match told:
        case ast.JoinedStr():
            return "".join(words_of(part, module) for part in told.values)
        case ast.FormattedValue():
            return words_of(told.value, module)
        case ast.Constant():
            return str(told.value)
    known = module.get(ast.unparse(told))
    return known if isinstance(known, str) else "X"


# A variable's words are those of a constant that is looked at below, or of an error of the family.
REFUSALS = [refusal for refusal in refusals() if refusal[2] != "X"]


@pytest.mark.parametrize(("place", "status", "words"), REFUSALS, ids=lambda value: value[:50])
def test_each_refusal_says_what_to_do(place: str, status: str, words: str):
    assert TO_DO.search(plain_problem(HTTPStatus[status.removeprefix("HTTPStatus.")], words).detail), words


ALWAYS_THE_SAME = [
    *(one for module in (admission, deadline) for one in vars(module).values() if isinstance(one, Problem)),
    plain_problem(503, problems.NO_DATABASE),
    plain_problem(503, problems.NO_NIGHT),
    plain_problem(429, security.too_many(3.2).detail),
]


@pytest.mark.parametrize("problem", ALWAYS_THE_SAME, ids=lambda problem: problem.detail[:50])
def test_each_problem_that_is_always_the_same_says_what_to_do(problem: Problem):
    assert TO_DO.search(problem.detail), problem.detail


@pytest.mark.parametrize(("kind", "status", "name"), FAMILY, ids=lambda value: getattr(value, "__name__", str(value)))
def test_an_error_that_does_not_say_what_to_do_is_told_with_it(kind: type[ChurnError], status: int, name: str):
    with running(failing(kind("it went wrong"))) as ask:
        assert ask("GET", "/").json()["detail"] == f"It went wrong. {NEXT_STEP[status]}"


@pytest.mark.parametrize("status", [400, 404, 405, 408, 409, 413, 422, 500, 503])
def test_each_status_has_a_next_step_for_who_says_only_what_is_wrong(status: int):
    told = plain_problem(status, HTTPStatus(status).phrase).detail
    assert told == f"{HTTPStatus(status).phrase}. {NEXT_STEP[status]}"
    assert TO_DO.search(told)
    assert plain_problem(status, "One. Two.").detail == "One. Two."
