"""Remembers what was answered to a request under its key, so that it may be sent again without a second effect."""

from __future__ import annotations

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


class KeyUsed(RequestError):
    """The key stands for another request."""


def begin(engine: Engine, request: Request) -> str | None:
    """Writes down that it is asked; the answer where it was answered already, None where it is to be done.

    KeyUsed where the principal asked something else under this key. One that was begun and never answered, since its
    process died, is to be done again: what it does must bear that.
    """
    with engine.begin() as connection:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        row = {"principal": request.principal, "key": request.key, "asked": request.asked}
        stamped = row | {"recorded_at": database_now(connection)}
        connection.execute(dialect.insert(answered_request).values(stamped).on_conflict_do_nothing())
        asked, answer = _written_down(connection, request)
    if asked != request.asked:
        raise KeyUsed(
            "it stands for another request already", where="Idempotency-Key", to_do="Give each request its own key."
        )
    return answer


def end(engine: Engine, request: Request, answer: str) -> str:
    """Keeps the answer, and gives the one that stands: the first, where the request was done twice at once."""
    with engine.begin() as connection:
        known = answered_request.c
        of_it = (known.principal == request.principal, known.key == request.key, known.answer.is_(None))
        connection.execute(sa.update(answered_request).where(*of_it).values(answer=answer))
        return _written_down(connection, request)[1] or answer


def _written_down(connection: Connection, request: Request) -> tuple[str, str | None]:
    known = answered_request.c
    of_it = (known.principal == request.principal, known.key == request.key)
    asked, answer = connection.execute(sa.select(known.asked, known.answer).where(*of_it)).one()
    return asked, answer
