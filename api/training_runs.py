"""Asks the orchestrator for a training run, and tells how it is; what is trained is judged by the gate as always."""

from __future__ import annotations

import hashlib
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from api.each_once import EACH_ONCE
from api.limits import limited
from api.models import Place
from api.once import Key, refusing_used_keys
from api.problems import described
from api.security import Principal, require
from schemas.users import Role
from store.orchestrator import RETRAINING, FlowRun, current_orchestrator

router = APIRouter(prefix="/api/v1/training-runs", tags=["training"])

NO_RUN = "There is no such training run. Check its number in Prefect's UI."
REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]


class TrainingAsked(BaseModel):
    """How to train; what is left out is as the deployment has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    promote: Literal["auto", "ask", "never"] = Field(
        default="ask", description="What becomes of candidates that pass the gate"
    )
    estimator: Literal["scorecard", "hist_gradient_boosting", "logistic_regression", "random_forest"] = "scorecard"
    per_segment: bool = Field(default=True, description="Also train a candidate for each segment that can bear one")


class TrainingRun(BaseModel):
    """A training run as the orchestrator has it."""

    run: str = Field(description="Its id, by which the orchestrator's pages have it, too")
    name: str = Field(description="Its name there")
    state: str = Field(description="Its state, in the orchestrator's word", examples=["Scheduled"])
    says: str = Field(description="What the orchestrator says of that state")
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(limited("operations")), EACH_ONCE],
    responses=described(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, *REFUSALS),
)
def train(asked: TrainingAsked, key: Key, place: Place, principal: Operator, response: Response) -> TrainingRun:
    """Asks the retraining deployment to run; under the same Idempotency-Key it is the same run.

    503 where the orchestrator is away: what answers look-ups does not need it.
    """
    parameters = asked.model_dump() | {"contract": place.contract}
    own = hashlib.sha256(f"{principal.name} {key}".encode()).hexdigest()
    tags = ["by the service", f"asked by {principal.name}"]
    with refusing_used_keys():
        run = current_orchestrator().ask_for(RETRAINING, parameters, key=own, tags=tags)
    response.headers["Location"] = f"{router.prefix}/{run.run}"
    return _shown(run)


@router.get(
    "/{run}",
    dependencies=[Depends(limited("operations"))],
    responses=described(HTTPStatus.NOT_FOUND, *REFUSALS),
)
def show(run: UUID, principal: Operator) -> TrainingRun:
    """How a training run is."""
    found = current_orchestrator().run_of(RETRAINING, str(run))
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_RUN)
    return _shown(found)


def _shown(run: FlowRun) -> TrainingRun:
    return TrainingRun(**{name: getattr(run, name) for name in TrainingRun.model_fields})
