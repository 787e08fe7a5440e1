"""The call centre's service: one customer's score and reasons in milliseconds, from the champion that the night uses.

Start it with `uvicorn --factory api.app:create_app`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from api import customers, health, predictions
from api.models import ChampionPlace
from api.problems import Problem, answer_with_problems
from churn.errors import ChurnError, NoChampion
from store.settings import Settings, current_settings
from store.tables import engine_for

LARGEST_BODY = 64 * 1024  # bytes; a customer takes two or three thousand
VERSION = "1"  # of the interface, as its paths have it

log = logging.getLogger(__name__)


class Service(FastAPI):
    """The application, which describes the body of a prediction as the champion of the moment wants it."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the shapes that no route declares."""
        document = super().openapi()
        document["components"]["schemas"] |= {"Customer": self._customer(), "Problem": Problem.model_json_schema()}
        return document

    def _customer(self) -> dict[str, Any]:
        place: ChampionPlace = self.state.place
        try:
            return place.pinned.customer.model_json_schema()
        except NoChampion:
            return {"type": "object"}


def create_app(settings: Settings | None = None, contract: str = "telco") -> FastAPI:
    """The service for the customers of one contract; without settings, those of the environment."""
    settings = settings or current_settings()
    # The usual pages of documentation would load their scripts from other people's servers.
    app = Service(title="Churn scores", version=VERSION, lifespan=_lifespan, docs_url=None, redoc_url=None)
    app.state.place = ChampionPlace(contract, settings)
    app.state.engine = engine_for(settings.database_url)
    for routes in (health.router, predictions.router, customers.router):
        app.include_router(routes)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_BODY)
    answer_with_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Pins the champion; without one the service starts all the same, and says that it is not ready."""
    place: ChampionPlace = app.state.place
    try:
        log.info("answering for %s with model version %s", place.contract, place.pin().stamp.version)
    except (ChurnError, DBAPIError) as error:
        log.warning("not ready: %s", error)
    yield
    app.state.engine.dispose()
