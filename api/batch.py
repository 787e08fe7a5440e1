"""Scores up to a thousand customers of one request at once; one that is refused keeps no other from its score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.answers import ModelStamp
from api.discretion import discretion_with_own_features
from api.each_once import require_each_once
from api.environment import Today
from api.limits import limited
from api.models import Champion, Champions
from api.predictions import JSON, Prediction, Told, as_refusal, require_json
from api.problems import FieldProblem, described, field_problem
from api.security import Anyone
from api.versions import Chosen
from churn.few import score_few
from churn.lookup import NO_CELL, Scored, ScoredOne
from schemas.messages import CustomerMessage

router = APIRouter(prefix="/api/v1", tags=["predictions"])

MOST_CUSTOMERS = 1_000
PROBLEMS_NAMED = 3  # of a customer; a caller chooses how many there are, and so would choose the answer's size
_OF_CUSTOMERS = {
    "type": "object",
    "required": ["customers"],
    "additionalProperties": False,
    "properties": {
        "customers": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_CUSTOMERS,
            "items": {"$ref": "#/components/schemas/Customer"},
        }
    },
}
BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": _OF_CUSTOMERS}}}}

Row = Mapping[str, Any]


class Customers(BaseModel):
    """The rows of a batch before each is checked by itself."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    customers: Annotated[list[Any], Field(min_length=1, max_length=MOST_CUSTOMERS)]


class BatchPrediction(Prediction):
    """A customer's score, and where in the request he stood."""

    index: int = Field(description="Place among the customers of the request, from 0")


class RefusedCustomer(BaseModel):
    """A customer who was not scored, and why; never what was given."""

    index: int = Field(description="Place among the customers of the request, from 0")
    problems: list[FieldProblem] = Field(description="What is wrong, field by field; the first three at most")


class BatchAnswer(BaseModel):
    """Every customer of the request once: scored, or refused."""

    as_of: date = Field(description="Date that the features are taken to describe: today in the business zone")
    predictions: list[BatchPrediction] = Field(description="In the order of the request")
    refused: list[RefusedCustomer] = Field(description="In the order of the request")
    model: ModelStamp = Field(description="The champion of all; each prediction names the model that made it")


async def asked(request: Request) -> list[Any]:
    """The rows in the request's body, none of them checked yet; 422 where there are none or too many."""
    require_json(request)
    body = await request.body()
    try:
        rows = Customers.model_validate_json(body).customers
    except ValidationError as refused:
        raise as_refusal(refused) from None
    await require_each_once(body, 1 + sum(len(row) for row in rows if isinstance(row, dict)))
    return rows


@router.post(
    "/predictions/batch",
    openapi_extra=BODY,
    dependencies=[Depends(limited("batch"))],
    responses=described(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def predict_batch(
    rows: Annotated[list[Any], Depends(asked)], champions: Chosen, today: Today, principal: Anyone
) -> BatchAnswer:
    """Each customer's probability of leaving and why, to the bit what a prediction of him alone would say.

    It is a plain function, so that it runs in a thread: a thousand customers take some tenths of a second.
    """
    checked = [_checked(index, row, champions.customer) for index, row in enumerate(rows)]
    accepted = {index: one for index, one in enumerate(checked) if not isinstance(one, RefusedCustomer)}
    told = discretion_with_own_features(principal, champions)
    found = {one.index: told.prediction(one) for one in _predictions(accepted, champions, today)}
    return BatchAnswer(
        as_of=today,
        predictions=[found[index] for index in accepted],
        refused=[one for one in checked if isinstance(one, RefusedCustomer)],
        model=champions.stamp,
    )


def _checked(index: int, row: Any, customer: type[CustomerMessage]) -> Row | RefusedCustomer:
    try:
        return customer.model_validate(_few_fields(row, customer)).model_dump()
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_context=False, include_input=False)
        problems = [field_problem(("body", *error["loc"]), error["msg"]) for error in errors[:PROBLEMS_NAMED]]
        return RefusedCustomer(index=index, problems=problems)


def _few_fields(row: Any, customer: type[CustomerMessage]) -> Any:
    """The row with no more fields that nobody asked for than are named: each would cost a kilobyte to refuse."""
    if not isinstance(row, dict) or len(row) <= len(customer.model_fields) + PROBLEMS_NAMED:
        return row
    asked = {name: row[name] for name in customer.model_fields if name in row}
    return asked | dict(islice((one for one in row.items() if one[0] not in asked), PROBLEMS_NAMED))


def _predictions(accepted: Mapping[int, Row], champions: Champions, today: date) -> Iterator[BatchPrediction]:
    """In any order: the customers of each champion are scored together."""
    together: dict[Champion, list[int]] = {}
    for index, row in accepted.items():
        together.setdefault(champions.of(row), []).append(index)
    for champion, indices in together.items():
        rows = [accepted[index] for index in indices]
        told = Told(champion, champions, today)
        for index, row, scored in zip(indices, rows, _one_by_one(score_few(champion.card, rows)), strict=True):
            yield BatchPrediction(index=index, **dict(told.of(row, scored)))


def _one_by_one(scored: Scored) -> Iterator[ScoredOne]:
    together = (scored.log_odds.tolist(), scored.raising.T.tolist(), scored.lowering.T.tolist())
    for log_odds, raising, lowering in zip(*together, strict=True):
        yield ScoredOne(log_odds, _cells(raising), _cells(lowering))


def _cells(places: Sequence[int]) -> tuple[int, ...]:
    return tuple(cell for cell in places if cell != NO_CELL)
