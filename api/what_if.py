"""What a customer's score would be if something about him were otherwise: both scores, and what moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.discretion import Discretion
from api.each_once import require_each_once
from api.limits import limited
from api.live import Change, InSight, changes_told
from api.models import Champions, Pinned
from api.paths import PART_OF_CUSTOMER
from api.predictions import JSON, Prediction, Told, as_refusal, require_json
from api.problems import described
from api.recommended import as_decided
from api.visits import REFUSALS, CustomerId, Visiting
from churn.changes import moved_terms
from churn.lookup import score_one
from store.lookups import decision_about

router = APIRouter(prefix="/api/v1", tags=["customers"])

MOST_CHANGES = 100
GONE = (
    "The snapshot of the newest night is no longer kept, or has no such customer."
    " Send all his columns to POST /api/v1/predictions instead."
)
IDENTITY = "says who the customer is, and cannot be changed: leave it out"
# The champion's contract gives the shape, as it does that of a prediction.
_CHANGES = {
    "type": "object",
    "required": ["changes"],
    "additionalProperties": False,
    "properties": {"changes": {"$ref": "#/components/schemas/Changes"}},
}
BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": _CHANGES}}}}


class Changes(BaseModel):
    """What is assumed of the customer."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    changes: Annotated[dict[str, Any], Field(min_length=1, max_length=MOST_CHANGES)]


class MovedReason(BaseModel):
    """A term of the log-odds that adds another amount."""

    feature: str = Field(description="The feature, or both of a pair")
    before: str = Field(description="What the customer has there, in words")
    after: str = Field(description="What he would have there, in words")
    log_odds: float | None = Field(description="By how much the log-odds would rise")


class WhatIf(BaseModel):
    """Two scores of the same customer by the champion of now: as he is, and as he would be."""

    as_of: date = Field(description="Date of the night whose snapshot says how he is")
    before: Prediction = Field(description="No action where the night's list leaves the customer alone")
    after: Prediction = Field(description="No action where the night's list leaves the customer alone")
    changed: list[Change] = Field(description="The features that would differ")
    moved: list[MovedReason] = Field(
        description="The terms that would move, that which moves most first; none where another model would score him"
    )


async def asked(request: Request) -> dict[str, Any]:
    """The changes in the request's body, whose values are not checked yet."""
    require_json(request)
    body = await request.body()
    try:
        changes = Changes.model_validate_json(body).changes
    except ValidationError as refused:
        raise as_refusal(refused) from None
    await require_each_once(body, 1 + len(changes))
    return changes


@router.post(
    f"{PART_OF_CUSTOMER}/what-if",
    openapi_extra=BODY,
    dependencies=[Depends(limited("lookups"))],
    responses=REFUSALS
    | described(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
)
def what_if(
    customer_id: CustomerId,
    changes: Annotated[dict[str, Any], Depends(asked)],
    visit: Visiting,
    sight: InSight,
    champions: Pinned,
) -> WhatIf:
    """The customer of the newest night's snapshot, with some columns changed; nothing of it is kept but the look."""
    with visit.engine.connect() as connection:
        score = visit.newest_score(connection, customer_id)
        decision = decision_about(connection, visit.contract, customer_id, score["as_of"])
    before = sight.kept_row(score, champions.contract)
    if before is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, GONE)
    after = {**before, **_checked(before, changes, champions)}
    with visit.engine.begin() as connection:
        visit.look.record(connection, "what-if", customer_id)
    return _answer(_Asked(before, after, score["as_of"], decision), champions, visit.discretion)


def _checked(before: Mapping[str, Any], changes: Mapping[str, Any], champions: Champions) -> dict[str, Any]:
    """The changed columns in their types; 422 where one cannot be changed, or not to that."""
    key, asked_for = champions.contract.key, champions.customer.model_fields
    customer = {name: value for name, value in before.items() if name in asked_for} | dict(changes)
    if key in changes:
        told = {"loc": ("body", key), "msg": IDENTITY, "type": "key"}
        raise RequestValidationError([told])
    try:
        checked = champions.customer.model_validate(customer).model_dump()
    except ValidationError as refused:
        raise as_refusal(refused) from None
    return {name: checked[name] for name in changes}


class _Asked(NamedTuple):
    """The customer as that night knew him, and as he would be; and what its list decided about him, if there is one."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    as_of: date
    decision: Mapping[Any, Any] | None


def _answer(asked: _Asked, champions: Champions, discretion: Discretion) -> WhatIf:
    before, after, as_of, decision = asked
    was, would_be = champions.of(before), champions.of(after)
    then, now = (
        Told(champion, champions, as_of).of(row, score_one(champion.card, row))
        for champion, row in ((was, before), (would_be, after))
    )
    moved = moved_terms(was.card, before, after) if was is would_be else []
    return WhatIf(
        as_of=as_of,
        before=as_decided(discretion.prediction(then), decision),
        after=as_decided(discretion.prediction(now), decision),
        changed=changes_told(champions.contract, before, after, discretion),
        moved=[MovedReason(**each._asdict()) for each in moved if discretion.says(each.feature)],
    )
