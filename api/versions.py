"""Another model than the champion, for operators: a version of the registry, verified, and kept while it is asked."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, HTTPException, Query, Request
from sqlalchemy.engine import Engine

from api.models import Champions, Pinned, load_champions
from api.security import Anyone
from churn.errors import RegistryError
from churn.segments import ALL
from schemas.users import Role
from store.registry import Registry, Version
from store.settings import Settings

THREADS = 2  # that may wait for the registry at once: a prediction goes through no lane, which would count them
KEPT = 4  # models beside the champions; each takes a few MB
LARGEST_VERSION = 2**31 - 1  # as the registry's column has it
SEE_MODELS = "GET /api/v1/models names those that are there."
FOR_OPERATORS = "Only the role operator may choose another model than the champion. Leave `model_version` out."

ModelVersion = Annotated[
    int | None,
    Query(ge=1, le=LARGEST_VERSION, description="Score with this version of the registry instead; for operators"),
]


class OtherVersions:
    """Versions that were asked for lately; the oldest question is forgotten first."""

    def __init__(self, settings: Settings, engine: Engine, contract: str) -> None:
        self._settings = settings
        self._registry = Registry(engine)
        self._contract = contract
        self.threads = CapacityLimiter(THREADS)
        self._kept: OrderedDict[str, Champions] = OrderedDict()
        self._one_at_a_time = Lock()

    def of(self, number: int) -> Champions:
        """The model of that number alone, for customers of every segment; 404 where there is none, or none any more.

        ArtifactRefused where its files are not what was registered.
        """
        version = self._registered(number)
        with self._one_at_a_time:
            found = self._kept.pop(version.digest, None) or self._load(version)
            self._kept[version.digest] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def _registered(self, number: int) -> Version:
        try:
            return self._registry.version(self._contract, number)
        except RegistryError:
            raise HTTPException(
                HTTPStatus.NOT_FOUND, f"There is no version {number}, or no longer. {SEE_MODELS}"
            ) from None

    def _load(self, version: Version) -> Champions:
        return load_champions(self._contract, {ALL: version}, self._settings)


async def chosen_model(
    request: Request, champions: Pinned, principal: Anyone, model_version: ModelVersion = None
) -> Champions:
    """The champions, or the one version that an operator asks for; 403 where somebody else does."""
    if model_version is None:
        return champions
    if principal.role is not Role.OPERATOR:
        raise HTTPException(HTTPStatus.FORBIDDEN, FOR_OPERATORS)
    versions: OtherVersions = request.app.state.versions
    found = await run_sync(partial(versions.of, model_version), limiter=versions.threads)
    request.state.model = found.stamp.digest
    return found


Chosen = Annotated[Champions, Depends(chosen_model)]
