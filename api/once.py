"""Answers a request that is sent again under its key as the first time, and does it once."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Header, HTTPException
from pydantic import BaseModel
from sqlalchemy.engine import Engine

from api.problems import in_sentences
from store.idempotency import KeyUsed, Request, begin, end

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

    What is done must bear to be done again, since a process may die between it and its answer.
    """
    try:
        answered = begin(engine, request)
    except KeyUsed as used:
        raise HTTPException(HTTPStatus.CONFLICT, in_sentences(used)) from None
    if answered is None:
        answered = end(engine, request, do().model_dump_json())
    return kind.model_validate_json(answered)
