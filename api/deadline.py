"""Begins nothing before its whole body is there, and refuses what comes too slowly, too large or too deeply nested."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import numpy as np
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.admission import BUSY
from api.problems import RETRY_AFTER, TOO_LARGE, Problem, plain_problem, problem_answer
from api.security import BAD_TOKEN, CHALLENGE

LARGEST_BODY = 64 * 1024  # bytes; a customer takes two or three thousand
LARGEST_BATCH = 2 * 1024 * 1024  # a thousand customers with every column take 1.3 MB; no other JSON is larger
MOST_HELD = 32 * 1024 * 1024  # bytes of larger bodies that a worker holds at once, whoever sends them
BODY_SECONDS = 5.0
DEEPEST = 16  # levels of lists and objects in JSON; a what-if has three
MOST_VALUES = 110_000  # of JSON: a thousand customers with a hundred columns, and room for lists of them
FILES = frozenset({b"text/csv", b"application/vnd.apache.parquet"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

Knows = Callable[[Scope], bool]

_NO_SIGNS = bytes(set(range(256)) - set(b'[]{}"'))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_OPENS, _QUOTE = ord("["), ord('"')
_BLOCK = 64 * 1024  # signs that are looked at together

TOO_SLOW = plain_problem(
    HTTPStatus.REQUEST_TIMEOUT, f"The body of the request did not come within {BODY_SECONDS:.0f} seconds."
)
OVERSIZE = plain_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
TOO_MANY = plain_problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body lists more than {MOST_VALUES:,} values. Send fewer at once."
)
UNKNOWN = plain_problem(HTTPStatus.UNAUTHORIZED, BAD_TOKEN)
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
    """Reads the body within its time, so that a slow sender keeps nobody waiting but himself.

    More than the usual is read of those alone whom `knows` knows by their headers, and of all together no more than
    `most_held` bytes until they are answered.
    """

    def __init__(self, app: ASGIApp, knows: Knows, seconds: float = BODY_SECONDS, most_held: int = MOST_HELD) -> None:
        self.app = app
        self.knows = knows
        self.seconds = seconds
        self.left = most_held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on a request whose body is whole; who went away meanwhile is not answered."""
        if scope.get("method") not in WITH_BODY:
            return await self.app(scope, receive, send)
        coming = _Coming(self, scope)
        try:
            came = await self._read(coming, receive)
            if isinstance(came, Response):
                await came(scope, receive, send)
            elif came is not None:
                await self.app(scope, _replaying(came, receive), send)
        finally:
            self.left += coming.held

    async def _read(self, coming: _Coming, receive: Receive) -> bytes | Response | None:
        """The body, or why there is none; None where its sender went away."""
        try:
            async with asyncio.timeout(self.seconds):
                body = await coming.whole(receive)
        except TimeoutError:
            return problem_answer(TOO_SLOW, {"connection": "close"})
        except _RefusedError as refused:
            return refused.answer
        problem = None if body is None else _problem(body, coming.scope)
        return problem_answer(problem) if problem else body


class _RefusedError(Exception):
    """What of a body is not read."""

    def __init__(self, problem: Problem, headers: Mapping[str, str]) -> None:
        super().__init__(problem.title)
        self.answer = problem_answer(problem, headers)


class _Coming:
    """A body on its way, and how many bytes of the worker's room are held for it."""

    __slots__ = ("_room", "held", "scope")

    def __init__(self, room: WholeBody, scope: Scope) -> None:
        self.scope = scope
        self.held = 0
        self._room = room

    async def whole(self, receive: Receive) -> bytes | None:
        """All of it; None where the sender went away before its end."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > LARGEST_BODY:
                self._hold(size)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _hold(self, size: int) -> None:
        if not self.held and not self._room.knows(self.scope):
            raise _RefusedError(UNKNOWN, CHALLENGE)
        if size - self.held > self._room.left:
            raise _RefusedError(BUSY, RETRY_AFTER)
        self._room.left -= size - self.held
        self.held = size


def _problem(body: bytes, scope: Scope) -> Problem | None:
    """What of JSON no parser is to meet: a value of two letters takes it up to a hundred times as much memory."""
    if len(body) <= LARGEST_BODY:
        return TOO_DEEP if is_too_deep(body) and not _is_file(scope) else None
    if _is_file(scope):
        return None
    if len(body) > LARGEST_BATCH:
        return OVERSIZE
    if max(body.count(b","), body.count(b"[") + body.count(b"{")) > MOST_VALUES:
        return TOO_MANY
    return TOO_DEEP if is_too_deep(body) else None


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than the limit; what is no JSON is left to its parser, which refuses it.

    It takes as much time and memory as the body is long, whatever is in it: nobody has asked yet who sends it.
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
    """Whether it is sent as something else than JSON, so that brackets mean nothing; then no route reads it as JSON."""
    sent = (value for name, value in scope["headers"] if name == b"content-type")
    kinds = {kind.partition(b";")[0].strip().lower() for kind in sent}
    return bool(kinds) and kinds <= FILES  # of two kinds a route might read the other


def _replaying(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
