"""Scores one customer, with exact reasons, from the columns that the champion's contract names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from api.answers import ModelStamp, Reason, RecommendedAction
from api.cache import AnswerCache, key_of
from api.discretion import discretion_with_own_features
from api.each_once import require_each_once
from api.environment import today
from api.limits import limited
from api.models import Champion, Champions, pinned_champions
from api.problems import described
from api.recommended import recommended
from api.security import AccessToken, Anyone
from api.versions import ModelVersion, chosen_model
from churn.lookup import ScoredOne, score_one
from churn.metrics import chance
from churn.scoring import BANDS
from schemas.messages import CustomerMessage

principal_of, within_limit = AccessToken(), limited("predictions")


class QuickRoute(APIRoute):
    """Answers a question without a query by the same steps as FastAPI does, called one after the other.

    FastAPI's own way to them takes longer than the score: it walks through all dependencies of each request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler; what has a query goes FastAPI's way."""
        walked = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await (walked(request) if request.scope["query_string"] else quick_answer(request))

        return handle


router = APIRouter(prefix="/api/v1", tags=["predictions"], route_class=QuickRoute)

JSON = "application/json"
# The champion's contract gives the shape, and champions change while the service runs: see Service.openapi.
BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Customer"}}}}}


class Prediction(BaseModel):
    """One customer's score: the intercept and all terms add up to the log-odds, the strongest are its reasons."""

    customer_id: str | None = Field(description="Key of the customer, as it was given")
    as_of: date = Field(description="Date that the features are taken to describe: today in the business zone")
    probability: float = Field(description="Calibrated probability of leaving within the horizon")
    log_odds: float = Field(description="Natural log-odds of the probability")
    band: str = Field(description="Risk band of the probability against the base rate", examples=["high"])
    reasons: list[Reason] = Field(description="What raises the risk, the strongest first; three at most")
    reliefs: list[Reason] = Field(description="What lowers the risk most; one at most")
    recommended: RecommendedAction | None = Field(description="Null where no action of the policy pays")
    model: ModelStamp


async def asked(request: Request, champions: Champions) -> CustomerMessage:
    """The customer in the request's body, checked against the contract of the model that scores.

    Pydantic reads the bytes itself: Python's own parser would let lone surrogates and numbers without end through.
    """
    require_json(request)
    body = await request.body()
    try:
        customer = champions.customer.model_validate_json(body)
    except ValidationError as refused:
        raise as_refusal(refused) from None
    await require_each_once(body, len(customer.model_fields_set))
    return customer


@router.post(
    "/predictions",
    openapi_extra=BODY,
    dependencies=[Depends(within_limit)],
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
async def predict(request: Request, principal: Anyone, model_version: ModelVersion = None) -> Prediction:
    """The customer's probability of leaving and why, to the bit what the night would write for the same row.

    It takes microseconds and no database, so it stays on the event loop and off the threads that look-ups wait in;
    only an operator who names another version waits for the registry.
    """
    champions = await chosen_model(request, await pinned_champions(request), principal, model_version)
    answer = Prediction.model_validate_json(await _answer(request, champions))
    return discretion_with_own_features(principal, champions).prediction(answer)


async def quick_answer(request: Request) -> Response:
    """What `predict` answers where the query names no version."""
    principal = await principal_of(request)
    await within_limit(request, principal)
    champions = await pinned_champions(request)
    answer = await _answer(request, champions)
    discretion = discretion_with_own_features(principal, champions)
    if not discretion.in_full:
        answer = discretion.prediction(Prediction.model_validate_json(answer)).model_dump_json().encode()
    return Response(answer, media_type=JSON)


async def _answer(request: Request, champions: Champions) -> bytes:
    """All of it: what is not for everybody is taken away behind the cache, which is everybody's."""
    question = await asked(request, champions), champions, await today(request.app.state.settings)
    cache: AnswerCache = request.app.state.cache
    return await cache.once(partial(key_of, *question), partial(predicted, *question))


def predicted(customer: CustomerMessage, champions: Champions, as_of: date) -> bytes:
    """A `Prediction` by the champion of the customer's segment, in JSON."""
    row = vars(customer)  # what `model_dump` would copy: none of its values has parts of its own
    champion = champions.of(row)
    return to_json(Told(champion, champions, as_of).fields(row, score_one(champion.card, row)))


class Told(NamedTuple):
    """What there is to say of customers that one champion has scored, who is one of those of all segments."""

    champion: Champion
    champions: Champions
    as_of: date

    def of(self, row: Mapping[str, Any], scored: ScoredOne) -> Prediction:
        """The answer for a customer, given by column, and his score."""
        return Prediction.model_validate(self.fields(row, scored))

    def fields(self, row: Mapping[str, Any], scored: ScoredOne) -> dict[str, Any]:
        """The same by the fields of `Prediction`, as plain values, since models take as long to make as the score."""
        probability = chance(scored.log_odds)
        reasons = self.champion.reasons.of(scored.raising)
        return {
            "customer_id": row[self.champions.key],
            "as_of": self.as_of,
            "probability": probability,
            "log_odds": scored.log_odds,
            "band": band_of(probability, self.champion.card.base_rate),
            "reasons": reasons,
            "reliefs": self.champion.reasons.of(scored.lowering),
            "recommended": recommended(self.champions, row, probability, reasons),
            "model": self.champion.stamp,
        }


def band_of(chance: float, base_rate: float) -> str:
    """The highest band that begins at or below this probability."""
    return [band for band, times in BANDS.items() if chance >= base_rate * times][-1]


def require_json(request: Request) -> None:
    """415 where the body does not say that it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the body as {JSON}.")


def as_refusal(refused: ValidationError) -> Exception:
    """400 for what is no JSON, else 422 with the fields that are wrong."""
    errors = refused.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return HTTPException(HTTPStatus.BAD_REQUEST, errors[0]["msg"])
    return RequestValidationError([{**error, "loc": ("body", *error["loc"])} for error in errors])
