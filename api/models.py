"""The champions that this process answers with, one for each segment: resolved once, verified, then pinned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.engine import Engine

from api.answers import ModelStamp
from churn.contract import parse_contract
from churn.errors import ArtifactRefused, NoChampion
from churn.reasons import words
from churn.scorecard import Scorecard
from churn.segments import ALL
from schemas.columns import Role
from schemas.contract import Contract
from schemas.messages import CustomerMessage, customer_model
from store.artifacts import Model, load_model
from store.registry import Registry, Version, open_registry
from store.service_database import service_engine
from store.settings import Settings

Versions = Mapping[str, Version]  # of each segment that has a champion of its own, and of all


@dataclass(frozen=True, slots=True, eq=False)
class Champion:
    """A verified model's card, which one it is, and what its reasons say."""

    card: Scorecard
    stamp: ModelStamp
    reasons: ReasonTexts


@dataclass(frozen=True, slots=True, eq=False)
class Champions:
    """Each segment's champion, and that of all for whoever has none of his own.

    The one of all carries the contract, and so the request model, that customers of every segment are asked by.
    """

    of_all: Champion
    of_segment: Mapping[str, Champion]
    contract: Contract
    customer: type[CustomerMessage]
    # Looked up once: to look through the contract's columns again for each customer takes as long as to score him.
    key: str
    segment: str | None

    @property
    def stamp(self) -> ModelStamp:
        """The champion of all, which stands for the set."""
        return self.of_all.stamp

    def of(self, customer: Mapping[str, Any]) -> Champion:
        """Who scores the customer, given by column; a segment that is missing or unknown is scored as all are."""
        return self.of_segment.get(customer[self.segment], self.of_all) if self.segment else self.of_all


@dataclass(frozen=True, slots=True)
class ReasonTexts:
    """What there is to say of each cell of a card; all are as long as the card has cells.

    Arrow could look these up as the night does, but its first array imports pandas: 40 MB and a slow first answer.
    """

    features: tuple[str, ...]
    values: tuple[str, ...]
    log_odds: tuple[float, ...]

    def of(self, cells: Iterable[int]) -> list[dict[str, Any]]:
        """The reasons that these cells are, in their order, by the fields of `Reason`."""
        return [
            {"feature": self.features[cell], "value": self.values[cell], "log_odds": self.log_odds[cell]}
            for cell in cells
        ]


class ChampionPlace:
    """Holds the champions of a contract, so that a request never waits for the registry.

    The reference is replaced as a whole: a request that took the champions keeps those to its end.
    """

    def __init__(self, contract: str, settings: Settings) -> None:
        self.contract = contract
        self._settings = settings
        self._pinned: Champions | None = None
        self._versions: Versions = MappingProxyType({})
        self._engine: Engine | None = None
        self._one_at_a_time = Lock()

    @property
    def pinned(self) -> Champions:
        """The champions; NoChampion where none were pinned yet."""
        if self._pinned is None:
            raise NoChampion(
                "no verified model is loaded", where=self.contract, to_do="GET /health/ready says what is missing."
            )
        return self._pinned

    @property
    def versions(self) -> Versions:
        """Which version is pinned for each segment that has a champion of its own, and for all."""
        return self._versions

    def pin(self) -> Champions:
        """The pinned champions; where there are none yet, the registry's, after they were verified.

        Raises what the registry and the artifact raise: NoChampion, ArtifactRefused, SQLAlchemy's DBAPIError.
        """
        if self._pinned is None:
            self.look()
        return self.pinned

    def look(self) -> bool:
        """Asks the registry who is champion; whoever is new is verified, tried and only then pinned, all at once.

        True where somebody was new. Raises what `pin` raises; the champions that were pinned then stay.
        """
        with self._one_at_a_time:
            versions = self._resolve()
            if versions == self._versions:
                return False
            self._pinned = load_champions(self.contract, versions, self._settings)
            self._versions = versions
            return True

    def _resolve(self) -> Versions:
        if self._engine is None:
            open_registry(self._settings)  # once: it also asks whether the tables are as this release wants them
            self._engine = service_engine(self._settings.database_url)
        found = Registry(self._engine).resolve_all(self.contract)
        if ALL not in found:
            raise NoChampion("no model is champion", where=f"{self.contract}, segment {ALL}", to_do="Train one first.")
        return found


def load_champions(contract: str, versions: Versions, settings: Settings) -> Champions:
    """The models of these versions, files and probes verified, ready to give their first answer as quickly as the next.

    Raises ArtifactRefused where a model was changed, is no scorecard, or does not fit the contract's customers.
    """
    models = {segment: load_model(version.digest, settings) for segment, version in versions.items()}
    asked = parse_contract(models[ALL].manifest.contract_text, where=f"contract inside model {models[ALL].digest}")
    customer = customer_model(asked)
    for model in models.values():
        _require_fit(model, contract, customer)
    champions = {segment: _champion(model, versions[segment]) for segment, model in models.items()}
    column = asked.one(Role.SEGMENT)
    return Champions(champions[ALL], champions, asked, customer, asked.key, column.name if column else None)


def _require_fit(model: Model, contract: str, customer: type[CustomerMessage]) -> None:
    unasked = [feature.name for feature in model.card.features if feature.name not in customer.model_fields]
    if unasked or model.manifest.contract != contract:
        raise ArtifactRefused(
            f"its contract is {model.manifest.contract}, and lacks {', '.join(unasked) or 'nothing'}",
            where=model.digest,
        )


def _champion(model: Model, version: Version) -> Champion:
    return Champion(model.card, ModelStamp(version=version.version, digest=version.digest), _texts(model.card))


def _texts(card: Scorecard) -> ReasonTexts:
    named = zip(card.term_names, card.terms, strict=True)
    features = tuple(name for name, term in named for _ in range(term.table.size))
    return ReasonTexts(features, words(card), tuple(card.cells.tolist()))


async def champion_place(request: Request) -> ChampionPlace:
    """The place that the service was made with."""
    place: ChampionPlace = request.app.state.place
    return place


async def pinned_champions(request: Request) -> Champions:
    """The champions for this one request; its line in the log names the model that stands for them."""
    place: ChampionPlace = request.app.state.place
    champions = place.pinned
    request.state.model = champions.stamp.digest
    return champions


Place = Annotated[ChampionPlace, Depends(champion_place)]
Pinned = Annotated[Champions, Depends(pinned_champions)]
