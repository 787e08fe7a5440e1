"""Who asks, and what he may: a token at the door, a role at each route, segments and regions at each customer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase

from api.tokens import TokenReader, TokenRefused
from schemas.users import Role, User
from store.keyring import open_keyring
from store.settings import Settings

router = APIRouter(prefix="/api/v1", tags=["access"])

Principal = User  # who asks, as his token says

TOKEN_PATH = f"{router.prefix}/token"
BEARER = "bearer"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
NO_TOKEN = f"Send a token, as POST {TOKEN_PATH} gives it, in the header Authorization: Bearer."
BAD_TOKEN = f"The token is not good, or no longer: ask POST {TOKEN_PATH} for another."


def guard(app: FastAPI, settings: Settings) -> None:
    """Lets the app know tokens; SettingsError where the environment names no key, so that it does not start."""
    app.state.keyring = open_keyring(settings)
    app.state.tokens = TokenReader(app.state.keyring)


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
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != BEARER or not token:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, NO_TOKEN, CHALLENGE)
        reader: TokenReader = request.app.state.tokens
        try:
            principal = reader.read(token)
        except TokenRefused:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, BAD_TOKEN, CHALLENGE) from None
        request.state.principal = principal.name
        return principal


Anyone = Annotated[Principal, Depends(AccessToken())]


def require(*roles: Role) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency for these roles alone, `Annotated[Principal, Depends(require(Role.OPERATOR))]`; 403 for others."""

    async def one_of(principal: Anyone) -> Principal:
        if principal.role not in roles:
            allowed = " or ".join(roles)
            raise HTTPException(HTTPStatus.FORBIDDEN, f"This is for the role {allowed}; yours is {principal.role}.")
        return principal

    return one_of


def may_see(principal: Principal, segment: str | None, region: str | None) -> bool:
    """Whether the customer is one of the principal's; answer 404 where not, which also hides that there is one.

    Who is limited sees nobody whose segment or region is unknown.
    """
    return _within(principal.segments, segment) and _within(principal.regions, region)


def _within(limits: tuple[str, ...], value: str | None) -> bool:
    return not limits or value in limits
