"""Who asks, and what he may: a token at the door, a role at each route, segments and regions at each customer."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, Form, Header, HTTPException, Request
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection
from starlette.types import Scope

from api.attempts import Attempts
from api.problems import described
from api.tokens import LONGEST_LIFE, TokenReader, TokenRefused, issue_token
from schemas.users import LONGEST_NAME, NAME_PATTERN, Role, User
from store.audit import Look
from store.users import MOST_LETTERS, Users

router = APIRouter(prefix="/api/v1", tags=["access"])

Principal = User  # who asks, as his token says

TOKEN_PATH = f"{router.prefix}/token"
BEARER: Literal["bearer"] = "bearer"
ASK_THEM = "Ask an operator to do it, or for the role."
CHALLENGE = {"WWW-Authenticate": "Bearer"}
NO_TOKEN = f"Send a token, as POST {TOKEN_PATH} gives it, in the header Authorization: Bearer."
BAD_TOKEN = f"The token is not good, or no longer: ask POST {TOKEN_PATH} for another."
NOT_KNOWN = "There is nobody of this name and password, or secret. Check both, or ask an operator for another."


class AccessToken(SecurityBase):
    """The dependency that asks for a token, and how OpenAPI says it; `request.state.principal` keeps who asks."""

    def __init__(self) -> None:
        flows = OAuthFlows(
            password=OAuthFlowPassword(tokenUrl=TOKEN_PATH),
            clientCredentials=OAuthFlowClientCredentials(tokenUrl=TOKEN_PATH),
        )
        self.model = OAuth2Model(flows=flows, description="A person's password, or a program's secret")
        self.scheme_name = "AccessToken"

    async def __call__(self, request: Request) -> Principal:
        """Who asks; 401 without a token that is good."""
        token = _token(request)
        if not token:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, NO_TOKEN, CHALLENGE)
        reader: TokenReader = request.app.state.tokens
        try:
            principal = reader.read(token)
        except TokenRefused:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, BAD_TOKEN, CHALLENGE) from None
        request.state.principal = principal.name
        return principal


def knows(reader: TokenReader, scope: Scope) -> bool:
    """Whether a request, be it only begun, has a token that is good."""
    try:
        reader.read(_token(HTTPConnection(scope)))
    except TokenRefused:
        return False
    return True


def _token(asked: HTTPConnection) -> str:
    """What the header Authorization: Bearer says; empty where there is none."""
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == BEARER else ""


Anyone = Annotated[Principal, Depends(AccessToken())]


Purpose = Annotated[
    str,
    Header(
        alias="X-Purpose",
        min_length=3,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="What the customer is looked at for; it stands in the log of look-ups",
        examples=["incoming call"],
    ),
]


def require(*roles: Role) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency for these roles alone, `Annotated[Principal, Depends(require(Role.OPERATOR))]`; 403 for others."""

    async def one_of(principal: Anyone) -> Principal:
        if principal.role not in roles:
            allowed = " or ".join(roles)
            raise HTTPException(
                HTTPStatus.FORBIDDEN, f"This is for the role {allowed}; yours is {principal.role}. {ASK_THEM}"
            )
        return principal

    return one_of


async def looking(request: Request, principal: Anyone, purpose: Purpose) -> Look:
    """Who looks at a customer and what for: `look.record(connection, what, customer_id)` where the look is made."""
    state = request.app.state
    return Look(principal.name, _in_letters(purpose), state.audit_key, partial(state.harvest.saw, principal))


def _in_letters(header: str) -> str:
    """The text that was sent as UTF-8; the server takes each byte of a header for a letter."""
    try:
        return header.encode("latin-1").decode()
    except ValueError:
        return header


Looking = Annotated[Look, Depends(looking)]


def may_see(principal: Principal, segment: str | None, region: str | None) -> bool:
    """Whether the customer is one of the principal's; answer 404 where not, which also hides that there is one.

    Who is limited sees nobody whose segment or region is unknown.
    """
    return _within(principal.segments, segment) and _within(principal.regions, region)


def _within(limits: tuple[str, ...], value: str | None) -> bool:
    return not limits or value in limits


def too_many(wait: float) -> HTTPException:
    """The answer to whoever has to wait so many seconds."""
    seconds = max(1, math.ceil(wait))
    told = f"That was more than you may ask for in so short a time. Ask again in {seconds} s."
    return HTTPException(HTTPStatus.TOO_MANY_REQUESTS, told, {"Retry-After": str(seconds)})


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
    "/token",
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
