"""Numbers each request, counts its answer and writes a line about it, which names no customer."""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.logs import log, places
from api.metrics import Metrics
from api.problems import UNFORESEEN, plain_problem, problem_answer

REQUEST_ID = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NO_ROUTE = "none"  # of a path that no route has; the path itself may be anything
QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})  # counted, but logged only when they fail


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
            log.error("unforeseen", request_id=number, error=type(error).__name__, trace=places(error))
            if status:
                raise
            problem = plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN)
            await problem_answer(problem.model_copy(update={"instance": f"urn:request:{number}"}))(
                scope, receive, numbered
            )
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, state = getattr(scope.get("route"), "path_format", NO_ROUTE), scope["state"]
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
