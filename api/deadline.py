"""Begins nothing before its whole body is there, and refuses what comes too slowly, too large or too deeply nested."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import plain_problem, problem_answer

LARGEST_BODY = 64 * 1024  # bytes; a customer takes two or three thousand
LARGEST_BATCH = 2 * 1024 * 1024  # a thousand customers with every column take 1.3 MB
BODY_SECONDS = 5.0
DEEPEST = 16  # levels of lists and objects in JSON; a what-if has three
FILES = frozenset({b"text/csv", b"application/vnd.apache.parquet"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")

TOO_SLOW = plain_problem(
    HTTPStatus.REQUEST_TIMEOUT, f"The body of the request did not come within {BODY_SECONDS:.0f} seconds."
)
TOO_DEEP = plain_problem(HTTPStatus.BAD_REQUEST, f"The body is nested deeper than {DEEPEST} levels.")


class BodyLimits:
    """Refuses bodies that are too large, by what they declare or by what comes; a few paths may be sent more."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        self.usual = RequestBodyLimitMiddleware(app, LARGEST_BODY)
        self.larger = {path: RequestBodyLimitMiddleware(app, most) for path, most in larger.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on through the limit of its path."""
        await self.larger.get(scope.get("path", ""), self.usual)(scope, receive, send)


class WholeBody:
    """Reads the body within its time, so that a slow sender keeps nobody waiting but himself."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on a request whose body is whole; who went away meanwhile is not answered."""
        if scope.get("method") not in WITH_BODY:
            return await self.app(scope, receive, send)
        try:
            async with asyncio.timeout(self.seconds):
                body = await _whole(receive)
        except TimeoutError:
            return await problem_answer(TOO_SLOW, {"connection": "close"})(scope, receive, send)
        if body is None:
            return None
        if not _is_file(scope) and is_too_deep(body):
            return await problem_answer(TOO_DEEP)(scope, receive, send)
        return await self.app(scope, _replaying(body, receive), send)


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than the limit; what is no JSON is left to its parser, which refuses it."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    brackets = _TEXTS.sub(b"", body).translate(_AS_SQUARE, _NO_BRACKETS)
    for _ in range(DEEPEST):  # each round takes the innermost level away
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets


def _is_file(scope: Scope) -> bool:
    """Whether it is sent as no JSON, so that brackets mean nothing in it; no route reads it as any then."""
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind in FILES


async def _whole(receive: Receive) -> bytes | None:
    """All of the body; None where the sender went away before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replaying(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
