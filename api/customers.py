"""One customer as the newest night has him: the score, its age, whether to contact him, who did, and how it came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.engine import RowMapping

from api.answers import ModelStamp, Reason
from api.limits import limited
from api.live import Glancing, LiveScore
from api.paths import CUSTOMER, PART_OF_CUSTOMER
from api.visits import REFUSALS, CustomerId, Visit, Visiting
from schemas.moments import business_moment
from schemas.scores import REASONS_DOWN, REASONS_UP
from store.lookups import NightOfCustomer, contacts_with, decision_about, nights_of

router = APIRouter(prefix="/api/v1", tags=["customers"])

MOST_CONTACTS = 20
NOBODY_THEN = "None of these nights has such a customer. Check the key, or look further back by more `nights`."
MOST_NIGHTS, USUAL_NIGHTS = 100, 30

Nights = Annotated[int, Query(ge=1, le=MOST_NIGHTS, description="How many published nights to look back")]

Live = Annotated[bool, Query(description="Ask the source, too, and show both scores; takes tenths of a second")]


class Outreach(BaseModel):
    """Whether the customer is on the night's outreach list, which rule of the policy decided so, and what to do."""

    status: str = Field(
        description="listed, or the one reason that keeps the customer off, for agents and programs often not_listed",
        examples=["listed"],
    )
    rule: str = Field(description="The rule that decided, in words")
    expected_value: float | None = Field(description="Expected gain of a contact, in money, for operators and analysts")
    action: str | None = Field(description="The action of the policy that was chosen", examples=["service_call"])
    channel: str | None = Field(description="Channel of the action; null for a customer who is not on the list")
    team: str | None = Field(description="Team that has the customer", examples=["north"])
    rank: int | None = Field(description="Place on the list, 1 is the most worth; null for a customer who is not on it")
    agent_says: str | None = Field(description="What the agent reads; null for a customer who is not on the list")


class Contact(BaseModel):
    """An event of a contact with the customer, as a team wrote it back."""

    as_of: date = Field(description="Date of the list that named the customer")
    occurred_at: AwareDatetime
    event: str = Field(examples=["reached"])
    channel: str
    action: str
    team: str
    agent: str = Field(description="Who made the contact")


class PublishedScore(BaseModel):
    """A customer's row of the newest published night."""

    customer_id: str
    as_of: date = Field(description="Date that the score describes")
    known_at: AwareDatetime = Field(description="Moment up to which facts had arrived, in business time")
    revision: int = Field(description="1 for the night's first publication")
    age_hours: float = Field(description="Hours since the score was published")
    stale: bool = Field(description="Whether a newer night is due")
    segment: str
    region: str | None
    probability: float = Field(description="Calibrated probability of leaving within the horizon")
    log_odds: float = Field(description="Natural log-odds of the probability")
    band: str = Field(description="Risk band of the probability against the base rate")
    percentile: int = Field(description="Share of the night's base at or below this risk, 1 to 100")
    customer_value: float | None = Field(description="Value of keeping him, in money, for operators and analysts")
    reasons: list[Reason] = Field(description="What raises the risk, the strongest first; three at most")
    reliefs: list[Reason] = Field(description="What lowers the risk most; one at most")
    withheld: int = Field(description="How many of the stored reasons and reliefs are withheld from the caller")
    outreach: Outreach | None = Field(description="Null until the night's list is published")
    contacts: list[Contact] = Field(description="What came of contacts, the newest first; twenty at most")
    model: ModelStamp
    live: LiveScore | None = Field(default=None, description="The score now, where it was asked for")


class NightScore(BaseModel):
    """A customer's score of one night, and what that night's list said."""

    as_of: date
    revision: int
    probability: float
    log_odds: float
    band: str
    percentile: int
    customer_value: float | None
    status: str | None = Field(description="listed, or the one reason that kept the customer off; null without a list")
    action: str | None
    model_version: int


class Trend(BaseModel):
    """A customer's scores from night to night."""

    customer_id: str
    nights: list[NightScore] = Field(description="The newest first; a night on which he was no customer is left out")


@router.get(CUSTOMER, dependencies=[Depends(limited("lookups"))], responses=REFUSALS)
def published_score(customer_id: CustomerId, visit: Visiting, glance: Glancing, live: Live = False) -> PublishedScore:
    """The customer's score in the newest published night, however old that is, and what the outreach list says.

    It is answered once the look stands in the log of look-ups, in one transaction with what was read. With `live` the
    source is asked for the customer as he is now; where it is away the stored score stands alone, and says why.
    """
    if live:
        glance.sight.begin()
    with visit.engine.begin() as connection:
        score = visit.newest_score(connection, customer_id)
        decision = decision_about(connection, visit.contract, customer_id, score["as_of"])
        contacts = contacts_with(connection, visit.contract, customer_id, MOST_CONTACTS)
        answer = _answer(dict(score), _plain(decision), [_contact(one) for one in contacts], visit)
        visit.look.record(connection, "lookup", customer_id)
    if not live:
        return answer
    now = glance.at(score, visit.discretion).as_decided(decision)
    return answer.model_copy(update={"live": now})


@router.get(f"{PART_OF_CUSTOMER}/history", dependencies=[Depends(limited("lookups"))], responses=REFUSALS)
def score_trend(customer_id: CustomerId, visit: Visiting, nights: Nights = USUAL_NIGHTS) -> Trend:
    """The customer's score of each night, in the revision that readers see; also of one who has left meanwhile."""
    with visit.engine.begin() as connection:
        found = nights_of(connection, visit.contract, customer_id, nights)
        if not found or not visit.sees(found[0].score):
            raise HTTPException(HTTPStatus.NOT_FOUND, NOBODY_THEN)
        visit.look.record(connection, "history", customer_id)
    return Trend(customer_id=customer_id, nights=[_night(one, visit) for one in found])


def _answer(
    score: Mapping[str, Any], decision: Mapping[str, Any] | None, contacts: list[Contact], visit: Visit
) -> PublishedScore:
    discretion = visit.discretion
    told = discretion.row(score) | {"known_at": business_moment(score["known_at"], visit.zone)}
    decided = discretion.decision(decision)
    reasons, reliefs = _told(score, "reason", REASONS_UP), _told(score, "relief", REASONS_DOWN)
    return PublishedScore(
        **{name: told[name] for name in PublishedScore.model_fields if name in told},
        reasons=discretion.reasons(reasons),
        reliefs=discretion.reasons(reliefs),
        withheld=discretion.withheld([*reasons, *reliefs]),
        outreach=Outreach(**decided) if decided else None,
        contacts=contacts,
        model=ModelStamp(version=score["model_version"], digest=score["model_digest"]),
    )


def _told(score: Mapping[str, Any], prefix: str, places: int) -> list[Reason]:
    parts = [
        {field: score[f"{prefix}_{place}_{field}"] for field in Reason.model_fields} for place in range(1, places + 1)
    ]
    return [Reason(**part) for part in parts if part["feature"] is not None]


def _plain(row: RowMapping | None) -> dict[str, Any] | None:
    return None if row is None else dict(row)


def _contact(event: RowMapping) -> Contact:
    return Contact(**{**event, "occurred_at": event["occurred_at"].replace(tzinfo=UTC)})


def _night(one: NightOfCustomer, visit: Visit) -> NightScore:
    decision = visit.discretion.decision(_plain(one.decision)) or {"status": None, "action": None}
    known = {**decision, **visit.discretion.row(dict(one.score)), **one.run}
    return NightScore(**{name: known[name] for name in NightScore.model_fields})
