"""Gives a token to whoever shows a password or a secret, and lets nobody try many of them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, HTTPException, Request
from pydantic import BaseModel, Field

from api.attempts import Attempts
from api.problems import described
from api.security import BEARER, CHALLENGE, TOKEN_PATH, too_many
from api.tokens import LONGEST_LIFE, issue_token
from schemas.users import LONGEST_NAME, NAME_PATTERN, Role, User
from store.users import MOST_LETTERS, Users

router = APIRouter(tags=["access"])

NOT_KNOWN = "No user has this name and password, or this id and secret. Check both, or ask an operator for another."


class Token(BaseModel):
    """What opens the other routes, as RFC 6749 has it."""

    access_token: str = Field(description="For the header Authorization: Bearer")
    token_type: Literal["bearer"] = BEARER
    expires_in: int = Field(description="Seconds for which it is good", examples=[900])


Name = Annotated[str | None, Field(max_length=LONGEST_NAME, pattern=NAME_PATTERN)]
Secret = Annotated[str | None, Field(max_length=MOST_LETTERS)]


class Credentials(BaseModel):
    """The form that asks for a token; `client_id` and `client_secret` may stand in HTTP Basic instead."""

    grant_type: Literal["password", "client_credentials"]
    username: Name = None
    password: Secret = None
    client_id: Name = None
    client_secret: Secret = None


@router.post(
    TOKEN_PATH,
    responses=described(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def token(request: Request, form: Annotated[Credentials, Form()]) -> Token:
    """A token for a person by name and password, or for a program by its id and secret, here or as HTTP Basic has it.

    It is a plain function, since a password's hash takes 30 ms, for which the event loop shall not stand still.
    """
    of_a_program = form.grant_type == "client_credentials"
    name, secret = (form.client_id, form.client_secret) if of_a_program else (form.username, form.password)
    pairs = _basic(request) if of_a_program and name is None else [(name or "", secret or "")]
    user = _let_in(request, pairs, of_a_program=of_a_program)
    made = issue_token(user, request.app.state.keyring)
    return Token(access_token=made, expires_in=int(LONGEST_LIFE.total_seconds()))


def _let_in(request: Request, pairs: Sequence[tuple[str, str]], *, of_a_program: bool) -> User:
    """The user, whose attempt is then none; 401 for anybody else, 429 for whoever tried too often.

    Each pair is a way to read the same name and secret.
    """
    users: Users = request.app.state.users
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    name = pairs[0][0]
    if wait := attempts.begin(name, address):
        raise too_many(wait)
    user = next((found for pair in pairs if (found := users.recognised(*pair))), None)
    if user is None or (user.role is Role.SERVICE) != of_a_program:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, NOT_KNOWN, CHALLENGE)
    attempts.forgive(name, address)
    return user


def _basic(request: Request) -> list[tuple[str, str]]:
    """Id and secret of the header Authorization: Basic; empty where there is none that can be read.

    As they stand, which most programs send, and as RFC 6749 has them encoded before, which libraries for OAuth do.
    """
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    try:
        pair = b64decode(told, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        pair = ""
    name, _, secret = pair.partition(":")
    ways = dict.fromkeys([(name, secret), (unquote_plus(name), unquote_plus(secret))])
    return [way for way in ways if _can_be(*way)] or [("", "")]


def _can_be(name: str, secret: str) -> bool:
    return bool(re.fullmatch(NAME_PATTERN, name)) and len(name) <= LONGEST_NAME and len(secret) <= MOST_LETTERS
