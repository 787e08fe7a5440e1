"""Remembers what was answered to a request under its key, so that it may be sent again without a second effect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from churn.errors import RequestError
from store.access_tables import answered_request
from store.claims import database_now


@dataclass(frozen=True, slots=True)
class Request:
    """A request by who asks and his key for it; `asked` is the sha256 of what he asks."""

    principal: str
    key: str
    asked: str


def request_of(principal: str, key: str, what: str, content: bytes) -> Request:
    """The request of whoever sends this content; `what` names the route and the base, since a key is of all of them."""
    return Request(principal, key, hashlib.sha256(f"{what}\n".encode() + content).hexdigest())


class KeyUsed(RequestError):
    """The key stands for another request."""


def key_used() -> KeyUsed:
    """What is said where the principal asked something else under his key."""
    return KeyUsed(
        "it stands for another request already", where="Idempotency-Key", to_do="Give each request its own key."
    )


def begin(engine: Engine, request: Request) -> str | None:
    """Writes down that it is asked; the answer where it was answered already, None where it is to be done.

    KeyUsed where the principal asked something else under this key. One that was begun and never answered, since its
    process died, is to be done again, as is one that is being done at the same time: what it does must bear that.
    """
    with engine.begin() as connection:
        return _begun(connection, request)


def end(engine: Engine, request: Request, answer: str) -> str:
    """Keeps the answer, and gives the one that stands: the first, where the request was done twice at once."""
    with engine.begin() as connection:
        _keep(connection, request, answer)
        return _written_down(connection, request)[1] or answer


def do_once(engine: Engine, request: Request, do: Callable[[Connection], str]) -> str:
    """The answer of `do`, or that of the first time: who asks at the same time waits for it.

    What `do` writes over the connection is kept together with its answer, or not at all. KeyUsed as of `begin`.
    """
    with engine.begin() as connection:
        answer = _begun(connection, request)
        if answer is None:
            answer = do(connection)
            _keep(connection, request, answer)
        return answer


def _begun(connection: Connection, request: Request) -> str | None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"principal": request.principal, "key": request.key, "asked": request.asked}
    stamped = row | {"recorded_at": database_now(connection)}
    # It waits for a transaction that adds the same row, or in SQLite for any, and finds what that left.
    connection.execute(dialect.insert(answered_request).values(stamped).on_conflict_do_nothing())
    asked, answer = _written_down(connection, request)
    if asked != request.asked:
        raise key_used()
    return answer


def _keep(connection: Connection, request: Request, answer: str) -> None:
    unanswered = (*_of(request), answered_request.c.answer.is_(None))
    connection.execute(sa.update(answered_request).where(*unanswered).values(answer=answer))


def _written_down(connection: Connection, request: Request) -> tuple[str, str | None]:
    known = answered_request.c
    # Locked, since a row whose process died before it answered is there for two who ask at once.
    row = sa.select(known.asked, known.answer).where(*_of(request)).with_for_update()
    asked, answer = connection.execute(row).one()
    return asked, answer


def _of(request: Request) -> tuple[sa.ColumnElement[bool], ...]:
    return answered_request.c.principal == request.principal, answered_request.c.key == request.key
