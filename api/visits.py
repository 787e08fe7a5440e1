"""A look at one customer: whom somebody may see, and that it is written down before anything is shown."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from sqlalchemy.engine import Connection, Engine, RowMapping

from api.discretion import IN_FULL, Discretion, discretion
from api.environment import Environment
from api.models import ChampionPlace, Champions, Place
from api.problems import described
from api.security import Anyone, Looking, Principal, may_see
from churn.errors import NoChampion
from schemas.messages import LONGEST_TEXT
from store.audit import Look
from store.lookups import newest_score

NOBODY = (
    "The newest published night has no such customer. Check the key; a new customer has a score after the next night."
)
REFUSALS = described(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

_KEY_TOLD = "Key of the customer; a slash in it is written %2F"
# PostgreSQL has no text with NUL in it, and says so with an error of its own.
CustomerId = Annotated[str, Path(max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$", description=_KEY_TOLD)]


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who looks at customers of the contract; `look` writes it down in the transaction that reads.

    `zone` is that of the business, whose clock nights go by.
    """

    contract: str
    engine: Engine
    principal: Principal
    look: Look
    zone: tzinfo
    discretion: Discretion

    def sees(self, score: RowMapping) -> bool:
        """Whether the customer of that score is of the segments and regions of whoever looks."""
        return may_see(self.principal, score["segment"], score["region"])

    @property
    def in_full(self) -> bool:
        """Whether whoever looks may read what is no word for a customer's ear: money, and whom the lot left out."""
        return self.principal.role in IN_FULL

    def newest_score(self, connection: Connection, customer_id: str) -> RowMapping:
        """The customer's row in the newest night; 404 where there is none, or none for whoever looks."""
        score = newest_score(connection, self.contract, customer_id)
        if score is None or not self.sees(score):
            raise HTTPException(HTTPStatus.NOT_FOUND, NOBODY)
        return score


async def database(request: Request) -> Engine:
    """The engine that the service was made with."""
    engine: Engine = request.app.state.engine
    return engine


Database = Annotated[Engine, Depends(database)]


async def visit(place: Place, engine: Database, principal: Anyone, look: Looking, settings: Environment) -> Visit:
    """The visit of whoever asks, who has said what for."""
    return Visit(place.contract, engine, principal, look, settings.zone, discretion(principal, _pinned(place)))


def _pinned(place: ChampionPlace) -> Champions | None:
    """The champions, if there are any yet: a stored score is shown without them, too."""
    with suppress(NoChampion):
        return place.pinned
    return None


Visiting = Annotated[Visit, Depends(visit)]
