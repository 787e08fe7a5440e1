"""Every error answer, in one shape (RFC 9457): which problem, under which HTTP status, and what to do about it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churn.errors import (
    AlreadyRunning,
    ChurnError,
    Fenced,
    OrchestratorUnreachable,
    PromotionRefused,
    RegistryError,
    RequestError,
    StoreUnreachable,
)
from store.service_database import is_outage

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:problem-type:churn:"  # what follows names a problem that says more than its HTTP status

# The nearest ancestor counts, so an error that is added to the family has a status at once.
STATUS_OF: Mapping[type[Exception], HTTPStatus] = MappingProxyType(
    {
        ChurnError: HTTPStatus.INTERNAL_SERVER_ERROR,
        RequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
        RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
        StoreUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
        OrchestratorUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
        PromotionRefused: HTTPStatus.CONFLICT,
        AlreadyRunning: HTTPStatus.CONFLICT,
        Fenced: HTTPStatus.CONFLICT,
    }
)

# What an error of the family is called at its root may speak of commands; these are what a caller sent.
TITLES: Mapping[type[Exception], str] = MappingProxyType({RequestError: "The request asks for what is not possible"})

RETRY_AFTER = {"retry-after": "1"}  # seconds, with every 503
NO_DATABASE = "The database does not answer. Ask again in a moment."
NO_NIGHT = (
    "The database does not show the scores: it is unreachable, or no night was published yet."
    " Ask again later, and tell the operators if it keeps happening."
)
UNFORESEEN = "The service failed. Tell the operators the number of this request: the log has it."
TOO_LARGE = "The body of the request is too large."
# What to do where whoever refused says only what is wrong.
NEXT_STEP: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: "Correct the request and send it again.",
        HTTPStatus.NOT_FOUND: "Check the path and what it names.",
        HTTPStatus.METHOD_NOT_ALLOWED: "Use a method that the header Allow names.",
        HTTPStatus.REQUEST_TIMEOUT: "Send the request in one go.",
        HTTPStatus.CONFLICT: "Look at how things stand now before you ask again.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send less at once.",
        HTTPStatus.UNPROCESSABLE_ENTITY: "Correct the request and send it again.",
        HTTPStatus.INTERNAL_SERVER_ERROR: "Tell the operators the number of this request: the log has it.",
        HTTPStatus.SERVICE_UNAVAILABLE: "Ask again in a moment, and tell the operators if it keeps happening.",
    }
)

# A caller chooses the names of surplus fields, so without these limits he would choose the size of the answer.
FIELDS_NAMED = 16
LONGEST_NAME, LONGEST_REASON = 60, 120

log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field of a request; never the value that was given."""

    field: str
    problem: str


class Problem(BaseModel):
    """An error as RFC 9457 has it; `fields` says which fields were refused, `missing` what is not ready, and why.

    `instance` is the number by which the log has the request.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    fields: list[FieldProblem] | None = None
    missing: dict[str, str] | None = None


def answer_with_problems(app: FastAPI) -> None:
    """Lets no error of a route leave in another shape."""
    for kind in (ChurnError, HTTPException, RequestValidationError, DBAPIError, NoFreeConnection, Exception):
        app.add_exception_handler(kind, as_problem)


async def as_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that ended in this error."""
    match error:
        case ChurnError():
            return _of_the_family(request, error)
        case HTTPException():
            return problem_answer(plain_problem(error.status_code, error.detail), error.headers)
        case RequestValidationError():
            return problem_answer(_refused(error.errors()))
        case DBAPIError() | NoFreeConnection():
            return _of_the_database(request, error)
    return problem_answer(plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN))


def problem_answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem as an HTTP answer under its own status."""
    content = problem.model_dump(exclude_none=True)
    return JSONResponse(content, problem.status, headers, media_type=MEDIA_TYPE)


def plain_problem(status: int, detail: str) -> Problem:
    """A problem that says no more than its HTTP status does, but for what is wrong and what to do about it."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=with_next_step(status, detail))


def with_next_step(status: int, detail: str) -> str:
    """The detail; where it is a single sentence, with what to do under that status, where that is one and the same."""
    told = detail.rstrip(".")
    return detail if ". " in told or status not in NEXT_STEP else f"{told}. {NEXT_STEP[status]}"


def in_sentences(error: ChurnError) -> str:
    """What went wrong and what to do; not where, which may be a path or an address that is no caller's business."""
    what = error.what.rstrip(".")
    return f"{what[:1].upper()}{what[1:]}. {error.to_do}".strip()


def described(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """These statuses for a route's OpenAPI description; the shape is named `Problem` there."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


def field_problem(place: Iterable[Any], reason: str) -> FieldProblem:
    """One wrong field: `place` begins with the part of the request, body, path or query."""
    part, *names = map(str, place)
    return FieldProblem(field=".".join(names)[:LONGEST_NAME] or part, problem=reason[:LONGEST_REASON])


class OversizeAsProblem:
    """Starlette's limit on bodies answers 413 in plain text whatever a handler says; this gives it our shape."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes all on but the 413."""
        replaced = False

        async def send_in_our_shape(message: Message) -> None:
            nonlocal replaced
            if _is_oversize(message):
                replaced = True
                too_large = plain_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
                await problem_answer(too_large)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self.app(scope, receive, send_in_our_shape)


def _is_oversize(message: Message) -> bool:
    """Whether it begins Starlette's own answer to a body that is too large."""
    if message["type"] != "http.response.start" or message["status"] != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return False
    return (b"content-type", MEDIA_TYPE.encode()) not in message["headers"]


def _of_the_database(request: Request, error: Exception) -> JSONResponse:
    """Tells the lane of the request, too, where the database is away: see api/admission.py."""
    request.state.outage = is_outage(error)
    log.warning("the database refused: %s", type(error).__name__)  # what it says may repeat a customer's key
    if isinstance(error, DataError | IntegrityError):  # what was sent to it should have been refused before
        return problem_answer(plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN))
    sentence = NO_DATABASE if request.state.outage else NO_NIGHT
    return problem_answer(plain_problem(HTTPStatus.SERVICE_UNAVAILABLE, sentence), RETRY_AFTER)


def _of_the_family(request: Request, error: ChurnError) -> JSONResponse:
    kind = type(error)
    status = next(STATUS_OF[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS_OF)
    request.state.outage = is_outage(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s: %s", kind.__name__, error)
    headers = RETRY_AFTER if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
    title = TITLES.get(kind) or (kind.__doc__ or kind.__name__).splitlines()[0].rstrip(".")
    detail = with_next_step(status, in_sentences(error))
    return problem_answer(Problem(type=TYPE + name, title=title, status=status, detail=detail), headers)


def _refused(errors: Sequence[Any]) -> Problem:
    counted = "1 field is wrong." if len(errors) == 1 else f"{len(errors)} fields are wrong."
    more = len(errors) > FIELDS_NAMED
    return Problem(
        type=f"{TYPE}invalid-request",
        title="The request is not as the contract says",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=f"{counted} Correct what `fields` names{', which are the first' if more else ''}.",
        fields=[field_problem(error["loc"], error["msg"]) for error in errors[:FIELDS_NAMED]],
    )
