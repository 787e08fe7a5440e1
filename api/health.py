"""Whether the process is alive, whether it can answer, and how it does."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.admission import arrival_of
from api.answers import ModelStamp
from api.models import Place
from api.problems import RETRY_AFTER, TYPE, Problem, described, problem_answer
from api.security import require
from api.standing import KnownStanding
from schemas.users import Role
from store.service_database import NightShown

router = APIRouter(prefix="/health", tags=["health"])

NO_NIGHT = "No night has been published yet: look-ups find nobody."
STALE = "The newest night is of {as_of}, and a newer one is due."
ENDING = "The process is shutting down and takes no more work."


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Readiness(BaseModel):
    """The service can answer, with this model; what is wrong but prevents no answer is a warning."""

    status: str = "ready"
    contract: str = Field(description="Name of the contract whose customers are scored", examples=["telco"])
    model: ModelStamp
    warnings: dict[str, str] = Field(description="A sentence for each of champion and scores where there is one")


class Night(BaseModel):
    """The night whose scores are shown."""

    as_of: date
    age_hours: float = Field(description="Hours since it was published")
    stale: bool = Field(description="Whether a newer night is due")


class LaneState(BaseModel):
    """One kind of work: how much of it is under way, and whether it is cut off because what it needs is away."""

    taken: int
    slots: int
    cut_off: bool


class Details(BaseModel):
    """What this worker knows of its own standing."""

    contract: str
    models: dict[str, ModelStamp] = Field(description="The champion of each segment that has its own, and of all")
    night: Night | None
    waiting: int = Field(description="Requests that are read and not begun")
    lanes: dict[str, LaneState]
    wrong: dict[str, str] = Field(description="A sentence for each thing that is not as it should be")


@router.get("/live")
async def live() -> Alive:
    """Touches nothing, so that a slow database never gets the process killed."""
    return Alive()


@router.get("/ready", response_model=Readiness, responses=described(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready(request: Request, place: Place, known: KnownStanding) -> Readiness | JSONResponse:
    """Whether the model is verified and the database answers, as seen in the background; 503 names what is missing.

    Old scores and a new champion that was refused are only warned of: taking the service out of use for them would
    withhold predictions that the previous champion still makes correctly.
    """
    wrong = known.wrong()
    missing = {} if place.versions else {"champion": wrong.pop("champion", "It is being loaded.")}
    missing |= {"database": wrong.pop("database")} if "database" in wrong else {}
    missing |= {"process": ENDING} if arrival_of(request.scope).last else {}
    if missing:
        return problem_answer(_not_ready(missing), RETRY_AFTER)
    warnings = wrong | _of_the_scores(known.night)
    return Readiness(contract=place.contract, model=place.pinned.stamp, warnings=warnings)


@router.get("", dependencies=[Depends(require(Role.OPERATOR, Role.SERVICE))])
async def details(request: Request, place: Place, known: KnownStanding) -> Details:
    """How this worker stands, in full; for operators and for what watches the service."""
    state = request.app.state
    return Details(
        contract=place.contract,
        models={segment: ModelStamp(version=of.version, digest=of.digest) for segment, of in place.versions.items()},
        night=Night.model_validate(known.night, from_attributes=True) if known.night else None,
        waiting=state.queue.waiting,
        lanes={
            lane.name: LaneState(taken=lane.taken, slots=lane.slots, cut_off=bool(lane.breaker and lane.breaker.open))
            for lane in state.lanes
        },
        wrong=known.wrong() | _of_the_scores(known.night),
    )


def _of_the_scores(night: NightShown | None) -> dict[str, str]:
    if night is None:
        return {"scores": NO_NIGHT}
    return {"scores": STALE.format(as_of=night.as_of)} if night.stale else {}


def _not_ready(missing: dict[str, str]) -> Problem:
    return Problem(
        type=f"{TYPE}not-ready",
        title="The service is not ready",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail=f"Missing: {', '.join(missing)}. See why in `missing`; the service looks again by itself.",
        missing=missing,
    )
