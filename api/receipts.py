"""The receipt of one customer's night: all of it for whoever answers for it, and for an agent what he may say."""

from __future__ import annotations

from datetime import UTC, date, tzinfo
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from api.customers import MOST_NIGHTS
from api.limits import limited
from api.live import InSight
from api.models import Pinned
from api.paths import PART_OF_CUSTOMER
from api.problems import in_sentences
from api.visits import REFUSALS, CustomerId, Visit, Visiting
from churn.errors import RequestError
from schemas.moments import Day, business_moment
from schemas.receipt import AgentReceipt, Receipt
from store.lookups import nights_of, score_of_night

router = APIRouter(prefix="/api/v1", tags=["customers"])

NO_NIGHT = "That night has no such customer, or is no longer kept. His /history names the nights that have him."

Night = Annotated[Day | None, Query(description="Date of the night; the newest if it is left out")]


@router.get(f"{PART_OF_CUSTOMER}/receipt", dependencies=[Depends(limited("lookups"))], responses=REFUSALS)
def receipt(
    customer_id: CustomerId,
    visit: Visiting,
    sight: InSight,
    champions: Pinned,
    as_of: Night = None,
) -> Receipt | AgentReceipt:
    """What led to the customer's score and place of that night, reckoned again from storage and equal to the bit.

    Agents and programs get what an agent may say: what he is to do, and no reason that cannot be acted on or that is
    protected. It takes a second or two, as it asks the night's files.
    """
    night = _night(visit, customer_id, as_of)
    try:
        made = sight.receipt(champions.contract, customer_id, night, whole=visit.in_full)
    except RequestError as gone:
        raise HTTPException(HTTPStatus.NOT_FOUND, in_sentences(gone)) from None
    with visit.engine.begin() as connection:
        visit.look.record(connection, "receipt", customer_id)
    return _with_offsets(made, visit.zone) if isinstance(made, Receipt) else made


def _night(visit: Visit, customer_id: str, as_of: date | None) -> date:
    """The night that is asked for; 404 where the customer was not scored in it, or is none for whoever looks.

    The last night that has him says whose customer he is, as in his history: he may have moved since.
    """
    with visit.engine.connect() as connection:
        score = score_of_night(connection, visit.contract, customer_id, as_of)
        last = nights_of(connection, visit.contract, customer_id, MOST_NIGHTS)
    if score is None or not visit.sees(last[0].score if last else score):
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_NIGHT)
    night: date = score["as_of"]
    return night


def _with_offsets(made: Receipt, zone: tzinfo) -> Receipt:
    """The receipt, whose times are kept without a zone, with what they lack."""
    outcomes = [
        one.model_copy(update={name: getattr(one, name).replace(tzinfo=UTC) for name in ("occurred_at", "recorded_at")})
        for one in made.outcomes
    ]
    told = {"known_at": business_moment(made.known_at, zone), "outcomes": tuple(outcomes)}
    return made.model_copy(update=told)
