"""The champion that this process answers with: resolved once, verified, then pinned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Annotated

from fastapi import Depends, Request

from api.answers import ModelStamp, Reason
from churn.contract import parse_contract
from churn.errors import ArtifactRefused, NoChampion
from churn.reasons import words
from churn.scorecard import Scorecard
from schemas.contract import Contract
from schemas.messages import CustomerMessage, customer_model
from store.artifacts import load_model
from store.registry import open_registry
from store.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Champion:
    """A verified model's card, the contract that it carries, and the request model which that contract gives."""

    card: Scorecard
    contract: Contract
    customer: type[CustomerMessage]
    stamp: ModelStamp
    reasons: ReasonTexts


@dataclass(frozen=True, slots=True)
class ReasonTexts:
    """What there is to say of each cell of a card; all are as long as the card has cells.

    Arrow could look these up as the night does, but its first array imports pandas: 40 MB and a slow first answer.
    """

    features: tuple[str, ...]
    values: tuple[str, ...]
    log_odds: tuple[float, ...]

    def of(self, cells: Iterable[int]) -> list[Reason]:
        """The reasons that these cells are, in their order."""
        return [
            Reason(feature=self.features[cell], value=self.values[cell], log_odds=self.log_odds[cell]) for cell in cells
        ]


class ChampionPlace:
    """Holds the champion of a contract, so that a request never waits for the registry.

    The reference is replaced as a whole: a request that took the champion keeps that one to its end.
    """

    def __init__(self, contract: str, settings: Settings) -> None:
        self.contract = contract
        self._settings = settings
        self._pinned: Champion | None = None
        self._one_at_a_time = Lock()

    @property
    def pinned(self) -> Champion:
        """The champion; NoChampion where none was pinned yet."""
        if self._pinned is None:
            raise NoChampion(
                "no verified model is loaded", where=self.contract, to_do="GET /health/ready says what is missing."
            )
        return self._pinned

    def pin(self) -> Champion:
        """The pinned champion; where there is none yet, the registry's, after it was verified.

        Raises what the registry and the artifact raise: NoChampion, ArtifactRefused, SQLAlchemy's DBAPIError.
        """
        with self._one_at_a_time:
            if self._pinned is None:
                self._pinned = load_champion(self.contract, self._settings)
            return self._pinned


def load_champion(contract: str, settings: Settings) -> Champion:
    """The contract's champion, its files and probe verified, ready to give its first answer as quickly as the next."""
    version = open_registry(settings).resolve(contract)
    model = load_model(version.digest, settings)
    carried = parse_contract(model.manifest.contract_text, where=f"contract inside model {version.digest}")
    customer = customer_model(carried)
    unasked = [feature.name for feature in model.card.features if feature.name not in customer.model_fields]
    if unasked or carried.name != contract:
        raise ArtifactRefused(
            f"its contract is {carried.name}, and lacks {', '.join(unasked) or 'nothing'}", where=version.digest
        )
    stamp = ModelStamp(version=version.version, digest=version.digest)
    return Champion(model.card, carried, customer, stamp, _texts(model.card))


def _texts(card: Scorecard) -> ReasonTexts:
    named = zip(card.term_names, card.terms, strict=True)
    features = tuple(name for name, term in named for _ in range(term.table.size))
    return ReasonTexts(features, words(card), tuple(card.cells.tolist()))


async def champion_place(request: Request) -> ChampionPlace:
    """The place that the service was made with."""
    place: ChampionPlace = request.app.state.place
    return place


async def pinned_champion(place: Annotated[ChampionPlace, Depends(champion_place)]) -> Champion:
    """The champion for this one request."""
    return place.pinned


Place = Annotated[ChampionPlace, Depends(champion_place)]
Pinned = Annotated[Champion, Depends(pinned_champion)]
