"""Takes back what came of contacts, each event once, however often a request is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest
from sqlalchemy.engine import Engine

from api.each_once import EACH_ONCE
from api.environment import Environment
from api.harvest import Harvest
from api.limits import limited
from api.models import Place
from api.once import Key, answered_once
from api.problems import described
from api.security import Principal, require
from api.visits import Database
from schemas.interventions import Intervention
from schemas.list_messages import InterventionAsked, InterventionRefused, InterventionsAsked, InterventionsKept
from schemas.users import Role
from store.idempotency import Request, request_of
from store.pages_of_list import Wanted, unlisted, visible
from store.settings import Settings

router = APIRouter(prefix="/api/v1", tags=["outreach"])

OF_ANOTHER = "an agent writes back his own contacts: leave `agent` out, or name yourself"

Teller = Annotated[Principal, Depends(require(Role.AGENT, Role.SERVICE, Role.OPERATOR))]


class Origin:
    """Where events come from: who sends them, under which key, for which base."""

    def __init__(self, request: HttpRequest, key: Key, place: Place, principal: Teller) -> None:
        self.key = key
        self.contract = place.contract
        self.principal = principal
        self._harvest: Harvest = request.app.state.harvest

    def count(self, customers: Collection[str]) -> None:
        """Notes how many customers they are, so that whoever tries out names is noticed: see api/harvest.py."""
        self._harvest.saw(self.principal, len(customers))

    def request(self, asked: InterventionsAsked) -> Request:
        """By what the request is known when it is sent again."""
        return request_of(
            self.principal.name, self.key, f"interventions {self.contract}", asked.model_dump_json().encode()
        )

    def events(self, asked: InterventionsAsked) -> list[Intervention]:
        """The events as a team's own file would have them."""
        return [self._event(one, place) for place, one in enumerate(asked.interventions)]

    def _event(self, one: InterventionAsked, place: int) -> Intervention:
        own = {"contract": self.contract, "agent": one.agent or self.principal.name, "key": self._key(one.key, place)}
        return Intervention(**one.model_dump() | own)

    def _key(self, named: str | None, place: int) -> str:
        """The key of an event in the base.

        Whoever sees not all has keys of his own, so that he neither takes others' nor finds out what they are of.
        """
        if named and not _is_limited(self.principal):
            return named
        own = f"{self.principal.name} named {named}" if named else f"{self.principal.name} {self.key} {place}"
        return hashlib.sha256(own.encode()).hexdigest()


@router.post(
    "/interventions",
    dependencies=[Depends(limited("changes")), EACH_ONCE],
    responses=described(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def write_back(
    asked: InterventionsAsked, origin: Annotated[Origin, Depends()], engine: Database, settings: Environment
) -> InterventionsKept:
    """Keeps up to a thousand events of contacts. What is refused is named, and keeps no other from being kept.

    It is checked as `churn outcome record` does, so that late and repeated events do no harm. Their customers count as
    shown, since a refusal tells who is no customer.
    """
    origin.count({one.customer_id for one in asked.interventions})

    def keep() -> InterventionsKept:
        events = origin.events(asked)
        kept = _kept(events, origin.principal, engine, settings)
        return _in_callers_keys(
            kept, {event.key: one.key for event, one in zip(events, asked.interventions, strict=True)}
        )

    return answered_once(engine, origin.request(asked), keep, InterventionsKept)


def _kept(events: list[Intervention], principal: Principal, engine: Engine, settings: Settings) -> InterventionsKept:
    from store.interventions import record  # Arrow's functions, which a worker needs for nothing else

    with engine.connect() as connection:
        of_no_list = unlisted(connection, events)
    whys = [_why_not(event, principal) or why for event, why in zip(events, of_no_list, strict=True)]
    visible = _visible([event for event, why in zip(events, whys, strict=True) if not why], principal, engine)
    whys = [why or _unseen(event, visible) for event, why in zip(events, whys, strict=True)]
    came = record(settings, [event for event, why in zip(events, whys, strict=True) if not why])
    refused = [InterventionRefused(key=event.key, why=why) for event, why in zip(events, whys, strict=True) if why]
    refused += [InterventionRefused(key=one.key, why=one.why) for one in came.refused]
    return InterventionsKept(new=came.new, known=came.known, refused=refused)


def _in_callers_keys(kept: InterventionsKept, keys: dict[str, str | None]) -> InterventionsKept:
    refused = [InterventionRefused(key=keys[one.key] or one.key, why=one.why) for one in kept.refused]
    return kept.model_copy(update={"refused": refused})


def _is_limited(principal: Principal) -> bool:
    return principal.role is Role.AGENT or bool(principal.segments or principal.regions)


def _why_not(event: Intervention, principal: Principal) -> str:
    """Why this principal may not write the event back; empty where he may."""
    return OF_ANOTHER if principal.role is Role.AGENT and event.agent != principal.name else ""


def _visible(events: list[Intervention], principal: Principal, engine: Engine) -> set[tuple[date, str]] | None:
    """The customers of these events whom the principal may see, by night; None for whoever sees all."""
    if not (principal.segments or principal.regions):
        return None
    wanted = Wanted(segments=principal.segments, regions=principal.regions)
    found: set[tuple[date, str]] = set()
    with engine.connect() as connection:
        for contract, as_of in sorted({(event.contract, event.as_of) for event in events}):
            asked = sorted({event.customer_id for event in events if event.as_of == as_of})
            found |= {(as_of, key) for key in visible(connection, (contract, as_of), wanted, asked)}
    return found


def _unseen(event: Intervention, seen: set[tuple[date, str]] | None) -> str:
    """In the words for a customer whom nobody knows, so that they do not tell that there is one."""
    if seen is None or (event.as_of, event.customer_id) in seen:
        return ""
    return f"the night of {event.as_of} knows no customer {event.customer_id}: correct the key or as_of"
