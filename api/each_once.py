"""Refuses JSON that names a field twice in one object: another program might keep the other of the two."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, HTTPException, Request

TWICE = "An object in the body names a field twice. Send each once."


async def require_each_once(body: bytes, kept: int) -> None:
    """400 where the body names a field twice; `kept` is how many fields its parser kept, of all objects together.

    Each field has a colon, so that a body with no more colons than fields need not be read once more.
    """
    if body.count(b":") > kept and await run_sync(names_twice, body):
        raise HTTPException(HTTPStatus.BAD_REQUEST, TWICE)


def names_twice(body: bytes) -> bool:
    """Whether an object in the JSON has a field twice; what is no JSON is left to its parser, which refuses it."""
    fields = distinct = 0

    def count(pairs: list[tuple[str, Any]]) -> None:
        nonlocal fields, distinct
        fields, distinct = fields + len(pairs), distinct + len({name for name, _ in pairs})

    # Numbers stay text: one of five thousand digits is refused elsewhere, and in words.
    with suppress(ValueError):
        json.loads(body, object_pairs_hook=count, parse_int=str, parse_float=str, parse_constant=str)
    return distinct < fields


async def _sent(request: Request) -> bytes:
    return await request.body()


def _each_once(body: Annotated[bytes, Depends(_sent)]) -> None:
    """In a thread, since a thousand events are read within milliseconds, for which the event loop shall not stand."""
    if names_twice(body):
        raise HTTPException(HTTPStatus.BAD_REQUEST, TWICE)


EACH_ONCE = Depends(_each_once)  # of routes whose body the framework reads
