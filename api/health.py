"""Whether the process is alive, and whether it can answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from api.answers import ModelStamp
from api.customers import Database
from api.models import Place
from api.problems import NO_DATABASE, TYPE, Problem, described, in_sentences, problem_answer
from churn.errors import ChurnError

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Readiness(BaseModel):
    """The service can answer everything, with this model."""

    status: str = "ready"
    contract: str = Field(description="Name of the contract whose customers are scored", examples=["telco"])
    model: ModelStamp


@router.get("/live")
async def live() -> Alive:
    """Touches nothing, so that a slow database never gets the process killed."""
    return Alive()


@router.get("/ready", response_model=Readiness, responses=described(HTTPStatus.SERVICE_UNAVAILABLE))
def ready(place: Place, engine: Database) -> Readiness | JSONResponse:
    """Asks the database, and pins the champion where none is pinned yet; 503 names what is missing."""
    tried = {"champion": _wrong_with(place.pin), "database": _wrong_with(partial(_ask, engine))}
    missing = {name: wrong for name, wrong in tried.items() if wrong}
    if missing:
        return problem_answer(_not_ready(missing))
    return Readiness(contract=place.contract, model=place.pinned.stamp)


def _wrong_with(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ChurnError as error:
        return in_sentences(error)
    except DBAPIError:
        return NO_DATABASE
    return ""


def _ask(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.select(1))


def _not_ready(missing: dict[str, str]) -> Problem:
    return Problem(
        type=f"{TYPE}not-ready",
        title="The service is not ready",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail=f"Missing: {', '.join(missing)}.",
        missing=missing,
    )
