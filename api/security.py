"""Who asks, and what he may: a token at the door, a role at each route, segments and regions at each customer."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Depends, Header, HTTPException, Request
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.types import Scope

from api.tokens import TokenReader, TokenRefused
from schemas.users import Role, User
from store.audit import Look

Principal = User  # who asks, as his token says

TOKEN_PATH = "/api/v1/token"  # noqa: S105 - where it is asked for, see api/log_in.py
BEARER: Literal["bearer"] = "bearer"
ASK_THEM = "Ask an operator to do it, or for the role."
CHALLENGE = {"WWW-Authenticate": "Bearer"}
NO_TOKEN = f"Send a token, as POST {TOKEN_PATH} gives it, in the header Authorization: Bearer."
BAD_TOKEN = f"The token is not valid, or no longer: ask POST {TOKEN_PATH} for another."


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
