"""A customer at this moment: asked of the source beside the stored score, and not waited for longer than a moment."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, Field
from sqlalchemy.engine import Engine, RowMapping

from api.admission import arrival_of
from api.breaker import Breaker
from api.clerk import Clerk
from api.discretion import Discretion
from api.models import ChampionPlace, Champions, Place
from api.predictions import Prediction, Told
from api.problems import in_sentences
from api.recommended import as_decided
from churn.changes import changed_features
from churn.errors import ChurnError, StoreUnreachable
from churn.lookup import score_one
from schemas.contract import Contract
from schemas.receipt import AgentReceipt, Receipt, Value
from store.settings import Settings

if TYPE_CHECKING:
    from store.live import Kept
    from store.one_row import Row, Step

PATIENCE, LEAST_PATIENCE = 0.75, 0.05  # seconds
# Seconds after the question came. The look-up itself has one: where it gives up, the stored score is lost, too, and
# three of those cut off everybody's look-ups, though the database is well.
LAST_MOMENT = 0.8
THREADS = 2  # that a source which hangs can take
NIGHTS_KEPT = 4

NOT_KEPT = "The night's snapshot is no longer kept, so nothing can tell what has changed."
NOT_THERE = "The source no longer has this customer."
TOO_LATE = (
    "The source did not answer in time. Ask again; if it keeps happening, check that its tables have an index on the "
    "customer's key."
)
AWAY = "The source cannot be asked."
CUT_OFF = "The source has not answered lately. It will be asked again in a moment."
BEGINS = "What reads the source has just been started. Ask again in a moment."

log = logging.getLogger(__name__)


class Change(BaseModel):
    """A feature that is not what it was."""

    feature: str = Field(examples=["complaints_open"])
    title: str = Field(description="How a person calls it", examples=["open complaints"])
    before: Value = Field(description="What the night knew; null where nothing was")
    after: Value = Field(description="What is known now; null where nothing is")


class LiveScore(BaseModel):
    """The score of what is known now, by the champion of now, beside the stored one."""

    score: Prediction | None = Field(
        description="Null where the customer cannot be asked for now; no action where the night's list leaves him alone"
    )
    because: str | None = Field(description="Why there is no score; null where there is one")
    changed: list[Change] = Field(description="The features that differ from those that the night scored")

    def as_decided(self, decision: Mapping[Any, Any] | None) -> LiveScore:
        """The same of a customer about whom the night's list decided so."""
        return self.model_copy(update={"score": self.score and as_decided(self.score, decision)})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The customer's row as the night kept it, and as the source has it now."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    as_of: date


class Sight:
    """What this worker sees of the source and of the last snapshots, in threads of its own behind a breaker.

    `clerk` fetches what would take a worker too much memory.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.clerk = Clerk()
        self._settings = settings
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, "live")
        self._breaker = Breaker()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._one_at_a_time = Lock()

    def begin(self) -> None:
        """Begins what reads the source, so that it starts while others are asked; where it cannot, `live` says so."""
        with suppress(StoreUnreachable):
            self.clerk.begin()

    def live(
        self, score: RowMapping, champions: Champions, discretion: Discretion, *, patience: float = PATIENCE
    ) -> LiveScore:
        """The customer's score now, and what changed since the stored one; else why it cannot be told.

        Both as far as whoever looks is told of them. `patience` is how many seconds the source has to answer.
        """
        if not self._breaker.lets_in():
            return _untold(CUT_OFF)
        try:
            seen = self._threads.submit(self._look, score, champions.contract).result(patience)
        except TooLate:
            if self.clerk.begins:
                return _untold(BEGINS)
            self._breaker.failed()
            return _untold(TOO_LATE)
        except (ChurnError, RuntimeError) as failed:
            self._breaker.failed()
            return _untold(_why_away(failed))
        self._breaker.succeeded()
        return _told(seen, champions, discretion) if isinstance(seen, _Seen) else _untold(seen)

    def kept_row(self, score: RowMapping, contract: Contract) -> Mapping[str, Any] | None:
        """The customer's row as the night of that score kept it; None where it is kept no longer."""
        kept = self._snapshot(score, contract)
        return kept.row(score["customer_id"]) if kept else None

    def receipt(self, contract: Contract, customer_id: str, night: date, *, whole: bool) -> Receipt | AgentReceipt:
        """The customer's receipt of that night, or what an agent may say of it; raises what the store's does."""
        made: Receipt | AgentReceipt = self.clerk.ask("receipt", self._settings, contract, customer_id, night, whole)
        return made

    def close(self) -> None:
        """Waits for nothing that is still being asked."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.clerk.close()

    def _look(self, score: RowMapping, contract: Contract) -> _Seen | str:
        self.clerk.begin()
        from store.live import LiveSource, date_described  # what a look at the stored score does without

        now = datetime.now(self._settings.zone).replace(tzinfo=None)
        as_of = date_described(score["as_of"], now.date())
        kept = self._snapshot(score, contract)
        before = kept.row(score["customer_id"]) if kept else None
        if kept is None or before is None:
            return NOT_KEPT
        after = LiveSource(self._settings.source_url, contract, self._row).row(score["customer_id"], kept, as_of, now)
        return _Seen(before, after, as_of) if after else NOT_THERE

    def _snapshot(self, score: RowMapping, contract: Contract) -> Kept | None:
        """The snapshot of the score's run, found once."""
        from store.live import kept_snapshot  # see _look

        with self._one_at_a_time:
            run_id = score["run_id"]
            found = self._kept.get(run_id) or kept_snapshot(self._engine, self._settings, contract, score["as_of"])
            if found:
                self._kept[run_id] = found = replace(found, ask=self._row)
            if len(self._kept) > NIGHTS_KEPT:
                self._kept.popitem(last=False)
        return found

    def _row(self, steps: Sequence[Step]) -> Row | None:
        found: Row | None = self.clerk.ask("row", steps)
        return found


def _told(seen: _Seen, champions: Champions, discretion: Discretion) -> LiveScore:
    champion = champions.of(seen.after)
    score = Told(champion, champions, seen.as_of).of(seen.after, score_one(champion.card, seen.after))
    changed = changes_told(champions.contract, seen.before, seen.after, discretion)
    return LiveScore(score=discretion.prediction(score), because=None, changed=changed)


def changes_told(
    contract: Contract, before: Mapping[str, Any], after: Mapping[str, Any], discretion: Discretion
) -> list[Change]:
    """The features that differ, but for those whose values are not told."""
    changed = changed_features(contract, before, after)
    return [Change(**each._asdict()) for each in changed if discretion.tells(each.feature)]


def _why_away(failed: ChurnError | RuntimeError) -> str:
    if isinstance(failed, ChurnError):
        return f"{AWAY} {in_sentences(failed)}"
    log.error("a look at the source failed", exc_info=failed)
    return AWAY  # what nobody foresaw is told without its words, which may quote a customer


def _untold(because: str) -> LiveScore:
    return LiveScore(score=None, because=because, changed=[])


async def sight(request: Request) -> Sight:
    """What the service was made with."""
    known: Sight = request.app.state.sight
    return known


InSight = Annotated[Sight, Depends(sight)]


@dataclass(frozen=True, slots=True)
class Glance:
    """A look at one customer in the source, for a request that came at `asked_at` by the monotonic clock."""

    sight: Sight
    place: ChampionPlace
    asked_at: float

    @property
    def patience(self) -> float:
        """Seconds that the source may take: what the rest of the look-up has left of its own."""
        return max(LEAST_PATIENCE, min(PATIENCE, self.asked_at + LAST_MOMENT - time.monotonic()))

    def at(self, score: RowMapping, discretion: Discretion) -> LiveScore:
        """As `Sight.live`, by the champions of now."""
        return self.sight.live(score, self.place.pinned, discretion, patience=self.patience)


async def glance(request: Request, sight: InSight, place: Place) -> Glance:
    """A look for whoever asks now."""
    return Glance(sight, place, arrival_of(request.scope).at)


Glancing = Annotated[Glance, Depends(glance)]
