"""The service's log: one line of JSON for each request, by which it is found again and which names no customer."""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import UNFORESEEN, plain_problem, problem_answer

REQUEST_ID = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NO_ROUTE = "none"  # of a path that no route has; the path itself may be anything
QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})  # counted, but logged only when they fail

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def log_as_json() -> None:
    """Makes every line of this process a JSON object on standard output, those of libraries too."""
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_messages,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


class RequestLog:
    """Gives each request a number, counts and logs its answer, and answers for what no other part foresaw."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 0
        state = scope.setdefault("state", {})
        number = state["request_id"] = _number_of(scope)

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID, number.encode())]
            await send(message)

        try:
            await self.app(scope, receive, numbered)
        except Exception as error:
            log.error("unforeseen", request_id=number, error=type(error).__name__, trace=_places(error))
            if status:
                raise
            problem = plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN)
            await problem_answer(problem.model_copy(update={"instance": f"urn:request:{number}"}))(
                scope, receive, numbered
            )
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, state = getattr(scope.get("route"), "path", NO_ROUTE), scope["state"]
        method = scope["method"] if route != NO_ROUTE else "any"  # else a stranger could make up series without end
        self.metrics.answered(route, method, status, seconds)
        if route in QUIET and status < HTTPStatus.BAD_REQUEST:
            return
        log.info(
            "answered",
            request_id=state["request_id"],
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1_000, 3),
            principal=state.get("principal"),
            model=state.get("model"),
        )


def _number_of(scope: Scope) -> str:
    """The caller's own number for the request where it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and SANE.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)


def _places(error: BaseException) -> list[str]:
    """Where it happened. What the error says may repeat what a caller sent, and stays out of the log."""
    return [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)]


def _without_messages(logger: Any, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replaces what a library logs of an exception by its kind and its places."""
    information = event.pop("exc_info", None)
    if isinstance(information, tuple) and information[1] is not None:
        event["error"] = type(information[1]).__name__
        event["trace"] = _places(information[1])
    return event
