"""What the service knows of its own standing: looked at in the background, so that nobody who asks waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from api.models import ChampionPlace
from api.problems import NO_DATABASE, in_sentences
from churn.errors import ChurnError
from store.service_database import NightShown, night_shown

FIRST_LOOK_SECONDS = 5.0  # that the start waits for; a database that hangs does not keep predictions from being made
OVERDUE_SECONDS = 5.0  # since the last look: what it saw is no longer worth telling
OVERDUE = "It has not answered for {seconds:.0f} seconds."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at everything saw: a sentence for each of registry and database where something is wrong."""

    wrong: Mapping[str, str] = field(default_factory=dict)
    night: NightShown | None = None
    at: float = field(default_factory=time.monotonic)


class Standing:
    """Looks at the registry's pointer, the database and the newest night again and again, in a thread of its own."""

    def __init__(
        self, place: ChampionPlace, engine: Engine, poll_seconds: float, announce: Callable[[str, int], None]
    ) -> None:
        """`announce` is told each segment and the version that answers for it, whenever champions have changed."""
        self._place = place
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._announce = announce
        self._seen = Look()
        self._thread = ThreadPoolExecutor(1, "standing")
        self._looking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Waits for the first look, and goes on looking."""
        first = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        await asyncio.wait({first}, timeout=FIRST_LOOK_SECONDS)
        self._looking = asyncio.create_task(self._keep_looking(first))

    def end(self) -> None:
        """Waits for nothing that is still being asked."""
        if self._looking:
            self._looking.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def night(self) -> NightShown | None:
        """The newest night, as it was seen last."""
        return self._seen.night

    def wrong(self) -> dict[str, str]:
        """What is wrong now, a sentence for each."""
        age = time.monotonic() - self._seen.at
        if age > OVERDUE_SECONDS + self._poll_seconds:
            return {**self._seen.wrong, "database": OVERDUE.format(seconds=age)}
        return dict(self._seen.wrong)

    async def _keep_looking(self, look: asyncio.Future[None]) -> None:
        while True:
            await look
            await asyncio.sleep(self._poll_seconds)
            look = asyncio.get_running_loop().run_in_executor(self._thread, self._look)

    def _look(self) -> None:
        nights: list[NightShown | None] = []
        attempts: dict[str, Callable[[], object]] = {
            "champion": self._look_at_champion,
            "database": lambda: nights.append(night_shown(self._engine, self._place.contract)),
        }
        wrong = {name: sentence for name, attempt in attempts.items() if (sentence := _wrong_with(attempt))}
        for name in wrong.keys() - self._seen.wrong.keys():
            log.warning("%s: %s", name, wrong[name])
        self._seen = Look(wrong, nights[0] if nights else None)

    def _look_at_champion(self) -> None:
        if not self._place.look():
            return
        for segment, version in self._place.versions.items():
            log.info("%s, segment %s: model version %s answers", self._place.contract, segment, version.version)
            self._announce(segment, version.version)


def _wrong_with(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ChurnError as error:
        return in_sentences(error)
    except DBAPIError:
        return NO_DATABASE
    except Exception as error:
        # A model's files are a stranger's until they are verified: whatever they set off, the look goes on.
        log.exception("an unforeseen error in the background")
        return f"An unforeseen {type(error).__name__}; the log says more."
    return ""


async def standing(request: Request) -> Standing:
    """The standing of this worker."""
    known: Standing = request.app.state.standing
    return known


KnownStanding = Annotated[Standing, Depends(standing)]
