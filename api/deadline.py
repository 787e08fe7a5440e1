"""Begins nothing before its whole body is there, and refuses what comes too slowly, too large or too deeply nested."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import numpy as np
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, plain_problem, problem_answer

LARGEST_BODY = 64 * 1024  # bytes; a customer takes two or three thousand
LARGEST_BATCH = 2 * 1024 * 1024  # a thousand customers with every column take 1.3 MB; no other JSON is larger
BODY_SECONDS = 5.0
DEEPEST = 16  # levels of lists and objects in JSON; a what-if has three
MOST_VALUES = 110_000  # of JSON: a thousand customers with a hundred columns, and room for lists of them
FILES = frozenset({b"text/csv", b"application/vnd.apache.parquet"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_NO_SIGNS = bytes(set(range(256)) - set(b'[]{}"'))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_OPENS, _QUOTE = ord("["), ord('"')
_BLOCK = 64 * 1024  # signs that are looked at together

TOO_SLOW = plain_problem(
    HTTPStatus.REQUEST_TIMEOUT, f"The body of the request did not come within {BODY_SECONDS:.0f} seconds."
)
TOO_LARGE = plain_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of the request is too large.")
TOO_MANY = plain_problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body lists more than {MOST_VALUES:,} values. Send fewer at once."
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
        if problem := None if _is_file(scope) else _problem_of_json(body):
            return await problem_answer(problem)(scope, receive, send)
        return await self.app(scope, _replaying(body, receive), send)


def _problem_of_json(body: bytes) -> Problem | None:
    """What no parser is to meet: a value of two letters takes it up to a hundred times as much memory."""
    if len(body) > LARGEST_BATCH:
        return TOO_LARGE
    if len(body) > LARGEST_BODY and max(body.count(b","), body.count(b"[") + body.count(b"{")) > MOST_VALUES:
        return TOO_MANY
    return TOO_DEEP if is_too_deep(body) else None


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than the limit; what is no JSON is left to its parser, which refuses it.

    It takes time and memory as the body is long, whatever is in it: nobody has asked yet who sends it.
    """
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    signs, quotes, level = _signs(body), 0, 0
    for first in range(0, len(signs), _BLOCK):
        block = np.frombuffer(signs[first : first + _BLOCK], np.uint8)
        quotes_before = quotes + np.cumsum(block == _QUOTE)
        is_bracket = (block != _QUOTE) & (quotes_before % 2 == 0)
        levels = level + np.cumsum(np.where(block == _OPENS, 1, -1) * is_bracket)
        if levels.max() > DEEPEST:
            return True
        quotes, level = quotes_before[-1], levels[-1]
    return False


def _signs(body: bytes) -> bytes:
    """The brackets, all of them square, and the quotes between which they are text."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return unescaped.translate(_AS_SQUARE, _NO_SIGNS)


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
