"""Looks a customer up in the newest published night: the score, its age, and whether to contact him."""

from __future__ import annotations

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Path, Request
from pydantic import BaseModel, Field
from sqlalchemy.engine import Connection, Engine, RowMapping

from api.answers import ModelStamp, Reason
from api.limits import limited
from api.models import Place
from api.problems import described
from api.security import Anyone, Looking, may_see
from schemas.messages import LONGEST_TEXT
from schemas.scores import REASONS_DOWN, REASONS_UP
from store.tables import FENCE, hours_since, publication, scores, statuses

router = APIRouter(prefix="/api/v1", tags=["customers"])

# PostgreSQL has no text with NUL in it, and says so with an error of its own.
CustomerId = Annotated[str, Path(max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$", description="Key of the customer")]


class Outreach(BaseModel):
    """Whether the customer is on the night's outreach list, and which rule of the policy decided so."""

    status: str = Field(description="listed, or the one reason that keeps the customer off", examples=["listed"])
    rule: str = Field(description="The rule that decided, in words")
    expected_value: float | None = Field(description="Expected gain of a contact, in money")


class PublishedScore(BaseModel):
    """A customer's row of the newest published night."""

    customer_id: str
    as_of: date = Field(description="Date that the score describes")
    known_at: datetime = Field(description="Moment up to which facts had arrived, business time")
    revision: int = Field(description="1 for the night's first publication")
    age_hours: float = Field(description="Hours since the score was published")
    segment: str
    probability: float = Field(description="Calibrated probability of leaving within the horizon")
    log_odds: float = Field(description="Natural log-odds of the probability")
    band: str = Field(description="Risk band of the probability against the base rate")
    percentile: int = Field(description="Share of the night's base at or below this risk, 1 to 100")
    customer_value: float | None = Field(description="Value of keeping the customer, in money")
    reasons: list[Reason] = Field(description="What raises the risk, the strongest first; three at most")
    reliefs: list[Reason] = Field(description="What lowers the risk most; one at most")
    outreach: Outreach | None = Field(description="Null until the night's list is published")
    model: ModelStamp


async def database(request: Request) -> Engine:
    """The engine that the service was made with."""
    engine: Engine = request.app.state.engine
    return engine


Database = Annotated[Engine, Depends(database)]


@router.get(
    "/customers/{customer_id}",
    dependencies=[Depends(limited("lookups"))],
    responses=described(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def published_score(
    customer_id: CustomerId, place: Place, engine: Database, principal: Anyone, look: Looking
) -> PublishedScore:
    """The customer's score in the newest published night, however old that is, and what the outreach list says.

    It is answered once the look stands in the log of look-ups, in one transaction with what was read.
    """
    with engine.begin() as connection:
        score = _score(connection, place.contract, customer_id)
        if score is None or not may_see(principal, score["segment"], score["region"]):
            raise HTTPException(HTTPStatus.NOT_FOUND, "The newest published night has no such customer.")
        answer = _answer(score, _outreach(connection, place.contract, score))
        look.record(connection, "lookup", customer_id)
    return answer


def _view(name: str, rows: sa.Table) -> sa.TableClause:
    """A view of published rows, with what is shown of their run."""
    shown = [column for column in rows.c if column.name != FENCE]
    run = [publication.c[fact] for fact in ("contract", "known_at", "revision", "published_at")]
    return sa.table(name, *(sa.column(column.name, column.type) for column in (*shown, *run)))


SCORES_NOW = _view("score_current", scores)
STATUSES_NOW = _view("outreach_status_current", statuses)


def _score(connection: Connection, contract: str, customer_id: str) -> RowMapping | None:
    now = SCORES_NOW.c
    query = sa.select(SCORES_NOW, hours_since(now.published_at).label("age_hours")).where(
        now.contract == contract, now.customer_id == customer_id
    )
    return connection.execute(query).mappings().one_or_none()


def _outreach(connection: Connection, contract: str, score: RowMapping) -> RowMapping | None:
    """What the list of the score's own night says: a list is published after its scores, and may be a night behind."""
    now = STATUSES_NOW.c
    query = sa.select(now.status, now.rule, now.expected_value).where(
        now.contract == contract, now.customer_id == score["customer_id"], now.as_of == score["as_of"]
    )
    return connection.execute(query).mappings().one_or_none()


def _answer(score: RowMapping, outreach: RowMapping | None) -> PublishedScore:
    return PublishedScore(
        **{name: score[name] for name in PublishedScore.model_fields if name in score},
        reasons=_told(score, "reason", REASONS_UP),
        reliefs=_told(score, "relief", REASONS_DOWN),
        outreach=Outreach(**outreach) if outreach else None,
        model=ModelStamp(version=score["model_version"], digest=score["model_digest"]),
    )


def _told(score: RowMapping, prefix: str, places: int) -> list[Reason]:
    parts = [
        {field: score[f"{prefix}_{place}_{field}"] for field in Reason.model_fields} for place in range(1, places + 1)
    ]
    return [Reason(**part) for part in parts if part["feature"] is not None]
