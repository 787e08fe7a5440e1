"""Which models there are, which answers for whom, and who moved it there; operators promote and roll back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.exc import ProgrammingError

from api.answers import ModelStamp
from api.each_once import EACH_ONCE
from api.environment import Environment
from api.limits import limited
from api.models import ChampionPlace, Place
from api.problems import described, in_sentences
from api.security import Principal, require
from api.versions import LARGEST_VERSION, SEE_MODELS
from api.visits import Database
from churn.contract import parse_contract
from churn.errors import ArtifactRefused, NoChampion, PromotionRefused, RegistryError
from churn.segments import ALL, require_places
from schemas import columns
from schemas.messages import no_disguise
from schemas.users import Role
from store.artifacts import load_model, verify_model
from store.registry import Event, Promotion, Registry, Rollback, Version
from store.settings import Settings

router = APIRouter(prefix="/api/v1/models", tags=["models"])

REFUSALS = described(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
MOVES = REFUSALS | described(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
MAY_NOT = "The service's database user may not move champions: use `churn model`, as the owner of the tables."
LIMITED = [Depends(limited("operations"))]

Number = Annotated[int, Field(ge=1, le=LARGEST_VERSION), BeforeValidator(no_disguise)]
Why = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["found a fault"])]
Segment = Annotated[
    str, Path(max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="Segment, or all", examples=[ALL])
]
Onlooker = Depends(require(Role.OPERATOR, Role.ANALYST, Role.SERVICE))
Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]


class RegisteredModel(BaseModel):
    """A version of the registry."""

    version: int
    digest: str = Field(description="sha256 that names the model's artifact")
    registered_at: AwareDatetime
    deleted_at: AwareDatetime | None = Field(description="When its artifact was given up; null while it is kept")
    champion_of: list[str] = Field(description="The segments that it answers for, all among them")


class Models(BaseModel):
    """All models of the contract."""

    contract: str
    models: list[RegisteredModel] = Field(description="The oldest first")


class SegmentChampion(BaseModel):
    """The model that answers for a segment, and the gate's last word on it."""

    contract: str
    segment: str
    own: bool = Field(description="Whether it is the segment's own; else it is that of all")
    model: ModelStamp
    since: AwareDatetime | None = Field(description="When it came to its place")
    gate: str | None = Field(description="Name of the gate that judged it; null where none did")
    passed: bool | None = Field(description="Whether the gate let it pass")
    says: str | None = Field(description="What the gate found, with figures and intervals")


class Move(BaseModel):
    """A change of a segment's champion."""

    happened_at: AwareDatetime
    kind: str = Field(examples=["promotion"])
    from_version: int | None = Field(description="Null if there was none")
    to_version: int
    who: str
    why: str
    overridden: str | None = Field(description="The gate's objection that did not stop it")


class History(BaseModel):
    """Every change of a segment's own champion."""

    contract: str
    segment: str
    moves: list[Move] = Field(description="The oldest first")


class Wish(BaseModel):
    """A change that somebody wants, as long as nobody has made another meanwhile."""

    model_config = ConfigDict(extra="forbid")

    expected: Number | None = Field(description="Version that is the segment's own champion now; null for none")
    why: Why


class PromotionWish(Wish):
    """A version to be champion."""

    version: Number
    override: Annotated[bool, Field(strict=True)] = Field(default=False, description="Promote against the gate")


class RollbackWish(Wish):
    """An earlier champion to be champion again."""

    to: Number | None = Field(default=None, description="Which earlier champion; the last one if it is left out")


@dataclass(frozen=True, slots=True)
class Registrar:
    """The registry as the routes ask it: about the models of one contract."""

    contract: str
    registry: Registry
    settings: Settings
    place: ChampionPlace

    def champion(self, segment: str) -> SegmentChampion:
        """Who answers for the segment; 404 where the champion's contract has no such segment."""
        self.require(segment)
        held = self.registry.resolve_all(self.contract)
        version = held.get(segment) or self.registry.resolve(self.contract, segment)
        moves = self.registry.history(self.contract, segment if segment in held else ALL)
        verdict = self.registry.verdict(self.contract, version.version, segment)
        return SegmentChampion(
            contract=self.contract,
            segment=segment,
            own=segment in held,
            model=ModelStamp(version=version.version, digest=version.digest),
            since=_utc(moves[-1].happened_at) if moves else None,
            gate=verdict.gate if verdict else None,
            passed=verdict.passed if verdict else None,
            says=verdict.says if verdict else None,
        )

    def require(self, segment: str) -> None:
        """404 where the contract that customers are asked by has no such segment."""
        column = self.place.pinned.contract.one(columns.Role.SEGMENT)
        if segment != ALL and (column is None or (column.allowed and segment not in column.allowed)):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{self.contract} has no such segment.")

    def verify(self, number: int, segment: str) -> None:
        """Raises where the version is unknown, its files are not as registered, or it never saw the segment."""
        version = self.registry.version(self.contract, number)
        manifest = load_model(version.digest, self.settings).manifest
        contract = parse_contract(manifest.contract_text, where=f"contract inside version {number}")
        require_places((segment,), contract, learnt_from=manifest.segment)


async def registrar(place: Place, engine: Database, settings: Environment) -> Registrar:
    """The registry in the service's database."""
    return Registrar(place.contract, Registry(engine), settings, place)


AtRegistrar = Annotated[Registrar, Depends(registrar)]


@router.get("", dependencies=[*LIMITED, Onlooker], responses=REFUSALS)
def registered_models(registrar: AtRegistrar) -> Models:
    """Every version that was ever registered, and what it answers for."""
    held = registrar.registry.resolve_all(registrar.contract)
    versions = registrar.registry.versions(registrar.contract)
    return Models(contract=registrar.contract, models=[_registered(version, held) for version in versions])


@router.get("/{segment}", dependencies=[*LIMITED, Onlooker], responses=REFUSALS)
def champion_of(segment: Segment, registrar: AtRegistrar) -> SegmentChampion:
    """Who answers for the segment's customers now, as the registry has it."""
    return registrar.champion(segment)


@router.get("/{segment}/history", dependencies=[*LIMITED, Onlooker], responses=REFUSALS)
def history_of(segment: Segment, registrar: AtRegistrar) -> History:
    """Who was the segment's own champion when, who moved it there, and why."""
    registrar.require(segment)
    events = registrar.registry.history(registrar.contract, segment)
    return History(contract=registrar.contract, segment=segment, moves=[_move(event) for event in events])


@router.post("/{segment}/promote", dependencies=[*LIMITED, EACH_ONCE], responses=MOVES)
def promote(segment: Segment, wish: PromotionWish, registrar: AtRegistrar, operator: Operator) -> SegmentChampion:
    """Makes a version the segment's champion, once its files were verified; all workers answer with it in seconds.

    409 where another than the expected version is champion by now, or where the gate or the files object. Asked again,
    it changes nothing more.
    """
    registrar.require(segment)
    with _refusals_told():
        registrar.verify(wish.version, segment)
        places, override = (segment,), wish.override
        asked = Promotion(registrar.contract, wish.version, wish.expected, operator.name, wish.why, places, override)
        registrar.registry.promote(asked)
    return registrar.champion(segment)


@router.post("/{segment}/rollback", dependencies=[*LIMITED, EACH_ONCE], responses=MOVES)
def roll_back(segment: Segment, wish: RollbackWish, registrar: AtRegistrar, operator: Operator) -> SegmentChampion:
    """Gives the segment back to an earlier champion, whatever a gate said of it, once its files were verified.

    409 where another than the expected version is champion by now, or where there is no earlier one.
    """
    registrar.require(segment)
    with _refusals_told():
        asked = Rollback(registrar.contract, operator.name, wish.why, (segment,), wish.to, wish.expected)
        back = registrar.registry.way_back(asked)
        for number in back.earlier:
            verify_model(registrar.registry.version(registrar.contract, number).digest, registrar.settings)
        registrar.registry.rollback(back)
    return registrar.champion(segment)


@contextmanager
def _refusals_told() -> Iterator[None]:
    """A wish that cannot be granted is a conflict, but for one that names a version which is not there."""
    try:
        yield
    except PromotionRefused:
        raise
    except (NoChampion, ArtifactRefused) as refused:
        raise HTTPException(HTTPStatus.CONFLICT, in_sentences(refused)) from None
    except RegistryError as unknown:
        told = f"{unknown.what[:1].upper()}{unknown.what[1:]}. {SEE_MODELS}"  # what to do is said of the command line
        raise HTTPException(HTTPStatus.NOT_FOUND, told) from None
    except ProgrammingError:
        # The database's own role for the service moves nobody, so that who breaks into the service does not either.
        raise HTTPException(HTTPStatus.FORBIDDEN, MAY_NOT) from None


def _registered(version: Version, held: Mapping[str, Version]) -> RegisteredModel:
    return RegisteredModel(
        version=version.version,
        digest=version.digest,
        registered_at=_utc(version.registered_at),
        deleted_at=version.deleted_at and _utc(version.deleted_at),
        champion_of=[segment for segment, champion in held.items() if champion.version == version.version],
    )


def _move(event: Event) -> Move:
    known = {name: getattr(event, name) for name in Move.model_fields}
    return Move(**known | {"happened_at": _utc(event.happened_at)})


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
