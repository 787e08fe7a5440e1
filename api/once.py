"""Answers a request that is sent again under its key as the first time, and does it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Header, HTTPException
from pydantic import BaseModel
from sqlalchemy.engine import Connection, Engine

from api.problems import in_sentences
from store.idempotency import KeyUsed, Request, begin, do_once, end

Answer = TypeVar("Answer", bound=BaseModel)

_SENT = Header(
    alias="Idempotency-Key",
    min_length=8,
    max_length=200,
    pattern=r"^[\x21-\x7e]+$",
    description="The caller's own name for the request: sent again under it, it is answered as the first time",
    examples=["0b8a7c1e-7f0e-4c3a-9d55-3f1f0c7a4d21"],
)
Key = Annotated[str, _SENT]
KeyOrNone = Annotated[str | None, _SENT]


def answered_once(engine: Engine, request: Request, do: Callable[[], Answer], kind: type[Answer]) -> Answer:
    """The answer of `do`, or that of the first time; 409 where the key stands for another request.

    What is done must bear to be done again, since a process may die between it and its answer, and since the same
    request may come twice at once.
    """
    with refusing_used_keys():
        answered = begin(engine, request)
    if answered is None:
        answered = end(engine, request, do().model_dump_json())
    return kind.model_validate_json(answered)


def added_once(
    engine: Engine, request: Request | None, add: Callable[[Connection], Answer], kind: type[Answer]
) -> Answer:
    """The answer of `add`, or that of the first time; 409 where the key stands for another request.

    What is added over the connection is there once, even where the same request comes many times at once. Without a
    key each request is another one.
    """
    if request is None:
        with engine.begin() as connection:
            return add(connection)
    with refusing_used_keys():
        answered = do_once(engine, request, lambda connection: add(connection).model_dump_json())
    return kind.model_validate_json(answered)


@contextmanager
def refusing_used_keys() -> Iterator[None]:
    """409 where a key turns out to stand for another request."""
    try:
        yield
    except KeyUsed as used:
        raise HTTPException(HTTPStatus.CONFLICT, in_sentences(used)) from None
