"""Shows a published outreach list page by page, and hands it over to the program that works it off."""

from __future__ import annotations

import hashlib
from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Query
from sqlalchemy.engine import Connection, RowMapping

from api.each_once import EACH_ONCE
from api.limits import limited
from api.models import Place
from api.problems import described
from api.security import Principal, require
from api.visits import Database, Visiting
from churn.errors import RequestError
from schemas.list_messages import (
    Cursor,
    HandedOver,
    HandoverAsked,
    Judgement,
    ListedCustomer,
    ListPage,
    ListReason,
    PageAsked,
    read_cursor,
)
from schemas.moments import business_moment
from schemas.outreach import Status
from schemas.scores import REASONS_UP
from schemas.users import Role
from store.handovers import hand_over
from store.pages_of_list import ShownList, Wanted, can_be_after, customers_on, page, place_of, shown_list

router = APIRouter(prefix="/api/v1/outreach", tags=["outreach"])

JUDGES = (Role.OPERATOR, Role.ANALYST)  # they see scores and money, and who is not to be contacted
NO_LIST = "No list of that date was published. Leave `as_of` out for the newest there is."
REPLACED = "Another list took this one's place. Ask for its first page, without a cursor."
LISTED_ALONE = f"This is for the role {' or '.join(JUDGES)}; others see who is {Status.LISTED}. Leave `status` out."


@router.get(
    "",
    dependencies=[Depends(limited("lists"))],
    responses=described(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def read_list(asked: Annotated[PageAsked, Query()], visit: Visiting) -> ListPage:
    """A page of a published list, of the customers whom the caller may see; reading it hands nothing over.

    Each customer shown stands in the log of look-ups. All pages behind a cursor are of the list that it began with:
    409 where another took its place meanwhile, which cannot happen once it was handed over.
    """
    principal = visit.principal
    if asked.status != Status.LISTED and principal.role not in JUDGES:
        raise HTTPException(HTTPStatus.FORBIDDEN, LISTED_ALONE)
    wanted = Wanted(asked.status, asked.team, principal.segments, principal.regions)
    begun, limit = _begun(asked, wanted), asked.limit
    with visit.engine.begin() as connection:
        shown = _shown(connection, visit.contract, date.fromisoformat(begun.as_of) if begun else asked.as_of)
        if begun and begun.fence != shown.fence:
            raise HTTPException(HTTPStatus.CONFLICT, REPLACED)
        rows = page(connection, shown, wanted, after=begun.after if begun else None, rows=limit + 1)
        if rows:
            visit.look.record(connection, "list", *(row["customer_id"] for row in rows[:limit]))
    return ListPage(
        as_of=shown.unit.as_of,
        known_at=business_moment(shown.unit.known_at, visit.zone),
        revision=shown.revision,
        handed_over_at=shown.handed_over_at,
        status=asked.status,
        customers=[_customer(row, principal) for row in rows[:limit]],
        next_cursor=_cursor(shown, wanted, rows[limit - 1]) if len(rows) > limit else None,
    )


@router.post(
    "/handover",
    dependencies=[Depends(limited("changes")), EACH_ONCE],
    responses=described(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def take_over(
    asked: Annotated[HandoverAsked, Body(examples=[{"as_of": "2026-01-01"}])],
    place: Place,
    engine: Database,
    principal: Annotated[Principal, Depends(require(Role.SERVICE, Role.OPERATOR))],
) -> HandedOver:
    """Takes a list over: it counts as sent from now on, and no other takes its place. Then read its pages.

    Asked again it says the same, and changes nothing.
    """
    with engine.connect() as connection:
        shown = _shown(connection, place.contract, asked.as_of)
    hand_over(engine, shown.unit, shown.run_id)
    with engine.connect() as connection:
        sent = _shown(connection, place.contract, shown.unit.as_of)
        listed = customers_on(connection, sent)
    return HandedOver.model_validate(
        {
            "as_of": sent.unit.as_of,
            "run_id": sent.run_id,
            "customers": listed,
            "handed_over_at": sent.handed_over_at,
        }
    )


def _shown(connection: Connection, contract: str, as_of: date | None) -> ShownList:
    shown = shown_list(connection, contract, as_of)
    if shown is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_LIST)
    return shown


def _begun(asked: PageAsked, wanted: Wanted) -> Cursor | None:
    """Where the page before ended; RequestError where the cursor is none of ours, or was given for something else."""
    if asked.cursor is None:
        return None
    try:
        begun = read_cursor(asked.cursor)
        day = date.fromisoformat(begun.as_of)
    except ValueError:
        raise _no_cursor("it is none that this service gave") from None
    if begun.of != _digest(wanted) or asked.as_of not in (None, day) or not can_be_after(begun.after, wanted):
        raise _no_cursor("it was given for another list, team or status")
    return begun


def _no_cursor(what: str) -> RequestError:
    return RequestError(f"the cursor cannot be used: {what}", where="cursor", to_do="Ask without it first.")


def _cursor(shown: ShownList, wanted: Wanted, last: RowMapping) -> str:
    after = place_of(last, wanted)
    return Cursor(as_of=str(shown.unit.as_of), fence=shown.fence, after=after, of=_digest(wanted)).written()


def _digest(wanted: Wanted) -> str:
    return hashlib.sha256(f"{wanted.status}\n{wanted.team or ''}".encode()).hexdigest()[:16]


def _customer(row: RowMapping, principal: Principal) -> ListedCustomer:
    plain = {name: row.get(name) for name in ListedCustomer.model_fields if name != "judgement"}
    return ListedCustomer(**plain, judgement=_judgement(row) if principal.role in JUDGES else None)


def _judgement(row: RowMapping) -> Judgement:
    told = ((row[f"reason_{place}_feature"], row[f"reason_{place}_value"]) for place in range(1, REASONS_UP + 1))
    reasons = [ListReason(feature=feature, value=value) for feature, value in told if feature is not None]
    return Judgement(**{name: row.get(name) for name in Judgement.model_fields if name != "reasons"}, reasons=reasons)
