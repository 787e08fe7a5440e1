"""An app with nothing behind its door but a few routes, and users to knock at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from fastapi import Depends, FastAPI

from api.door import guard, leave
from api.limits import limited
from api.log_in import router
from api.problems import answer_with_problems
from api.security import Anyone, Looking, require
from schemas.users import Role, User
from store.settings import Settings
from store.tables import engine_for
from store.users import open_users

PAGE = 100  # customers of a page of a list
PASSWORD = "correct horse battery"


def door(settings: Settings) -> FastAPI:
    """The service's door, and a route for each thing that it tells apart."""
    app = FastAPI(lifespan=_lifespan)
    guard(app, settings)
    app.include_router(router)
    answer_with_problems(app)
    engine = engine_for(settings.database_url)

    @app.get("/who")
    async def who(principal: Anyone) -> dict[str, object]:
        return {"name": principal.name, "role": principal.role, "segments": principal.segments}

    @app.get("/operators", dependencies=[Depends(require(Role.OPERATOR))])
    async def operators() -> None: ...

    @app.get("/predictions", dependencies=[Depends(limited("predictions"))])
    async def predictions() -> None: ...

    @app.get("/customers/{customer_id}", dependencies=[Depends(limited("lookups"))])
    def customer(customer_id: str, look: Looking) -> None:
        with engine.begin() as connection:
            connection.execute(sa.select(1))
            look.record(connection, "lookup", customer_id)

    @app.get("/lists")
    def page(look: Looking) -> None:
        with engine.begin() as connection:
            look.record(connection, "list", *(f"C{number}" for number in range(PAGE)))

    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    leave(app)


def add_users(settings: Settings, *users: User) -> None:
    """All under one password."""
    known = open_users(settings)
    for user in users:
        known.add(user, PASSWORD, "tests")
