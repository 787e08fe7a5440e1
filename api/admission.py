"""Who is let in: a bounded queue in front of the worker, and lanes that keep slow work out of the way of quick work.

A prediction takes microseconds on the event loop, so whoever waits for one waits in the queue. Whatever else the routes
do waits in threads, and each kind of it has a lane of its own: one that is jammed by a dead database leaves the other
lanes, and all predictions, as quick as they were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio import CancelScope
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.breaker import Breaker
from api.problems import NO_DATABASE, RETRY_AFTER, TYPE, Problem, problem_answer
from store.service_database import Heard, listen

PREDICTIONS = "/api/v1/predictions"
ROUTES = "/api/"  # what begins otherwise is never refused: whether the service lives, and how it does
DEADLINE = 0.5  # seconds that a request may have waited before it is begun
QUEUE = 16  # requests that may always wait
PATIENCE = 0.05  # seconds; more than 16 may wait as long as all of them are worked off within these
THREADS = 4  # of a lane
STREAMS = 16  # that go on for as long as a job does, or a large file takes
_MEMORY = 16  # predictions that the pace is averaged over

BUSY = Problem(
    type=f"{TYPE}busy",
    title="The service is busy",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="It is asked for more than it can answer in time. Ask again in a second.",
)
LATE = Problem(
    type=f"{TYPE}late",
    title="The answer took too long",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="What the answer needs did not come in time. Ask again in a moment.",
)
CUT_OFF = Problem(
    type=f"{TYPE}cut-off",
    title="What the answer needs is unavailable",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail=NO_DATABASE,
)


@dataclass(slots=True)
class Arrival:
    """A request as its connection knows it; `at` is when the last of it was read, `last` whether it is to go then."""

    at: float
    queued: bool = False
    refused: bool = False
    last: bool = False


class Queue:
    """Requests that were read from their connections and are not begun yet."""

    def __init__(self) -> None:
        self.waiting = 0
        self._pace = 0.0  # seconds that a prediction takes
        self._last: float | None = None  # when one was made last, if others have waited ever since

    @property
    def full(self) -> bool:
        """Whether who comes now would wait too long."""
        return self.waiting >= QUEUE and self.waiting * self._pace >= PATIENCE

    def enter(self, arrival: Arrival) -> None:
        """One more waits."""
        arrival.queued = True
        self.waiting += 1

    def leave(self, arrival: Arrival) -> None:
        """It is begun. Who came by no connection of ours never waited."""
        self.waiting -= arrival.queued
        arrival.queued = False
        if not self.waiting:
            self._last = None

    def took(self, began: float, ended: float) -> None:
        """Learns how long a prediction takes at present; while others wait, all that lies between two of them."""
        seconds = ended - (began if self._last is None else self._last)
        self._last = ended if self.waiting else None
        # Some waited for a lease of their budget, or for a client who did not read: that says no more than "full" does.
        self._pace += (min(seconds, PATIENCE) - self._pace) / _MEMORY


class Begun:
    """Tells the queue that a request is begun, whoever answers it: a browser's first question meets no admission."""

    def __init__(self, app: ASGIApp, queue: Queue) -> None:
        self.app = app
        self.queue = queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes all on."""
        if scope["type"] == "http":
            self.queue.leave(arrival_of(scope))
        await self.app(scope, receive, send)


class Admission:
    """Refuses who found the queue full, and drops unexecuted what waited beyond its deadline."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on whose time has not run out."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrival = arrival_of(scope)
        too_late = arrival.refused or time.monotonic() - arrival.at > DEADLINE
        if too_late and scope["path"].startswith(ROUTES):
            return await problem_answer(BUSY, RETRY_AFTER)(scope, receive, send)
        return await self.app(scope, receive, send)


def arrival_of(scope: Scope) -> Arrival:
    """What the connection said of the request; now, where it came by none of ours."""
    arrival: Arrival = scope.setdefault("state", {}).get("arrival") or Arrival(time.monotonic())
    return arrival


@dataclass(slots=True)
class Lane:
    """How many requests of one kind may be under way at once, for how long, and how many of them in threads.

    A request leaves as its answer begins, or `to_the_end` only when it has gone out.
    """

    name: str
    prefix: str
    slots: int
    seconds: float
    breaker: Breaker | None = None
    suffixes: tuple[str, ...] = ("",)
    threads: int = THREADS
    to_the_end: bool = False
    taken: int = field(default=0, init=False)
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.threads)

    def leads(self, path: str) -> bool:
        """Whether requests of that path go through it."""
        return path.startswith(self.prefix) and path.endswith(self.suffixes)

    def refusal(self) -> Problem | None:
        """Why the lane cannot be entered; None where it can."""
        if self.taken >= self.slots:
            return BUSY
        return CUT_OFF if self.breaker and not self.breaker.lets_in() else None

    def saw(self, *, failed: bool, answered: bool = True) -> None:
        """Tells the breaker how it went; a request that is refused before it needs the database tells nothing."""
        if not self.breaker:
            return
        if failed:
            self.breaker.failed()
        elif answered:
            self.breaker.succeeded()
        else:
            self.breaker.undecided()


def lanes() -> tuple[Lane, ...]:
    """The lanes of one worker; the first that leads to a path is the one to take."""
    return (
        Lane("batches", f"{PREDICTIONS}/batch", slots=2, seconds=5.0),
        Lane("tokens", "/api/v1/token", slots=4, seconds=2.0),
        Lane("errands", "/api/v1/training-runs", slots=2, seconds=10.0),
        Lane("inquiries", "/api/v1/customers/", slots=2, seconds=20.0, suffixes=("/receipt", "/what-if")),
        Lane("moves", ROUTES, slots=2, seconds=10.0, suffixes=("/promote", "/rollback", "/handover")),
        Lane(
            "streams",
            "/api/v1/jobs/",
            slots=STREAMS,
            seconds=5.0,
            suffixes=("/events", "/result"),
            threads=STREAMS,
            to_the_end=True,
        ),
        Lane("jobs", "/api/v1/jobs", slots=4, seconds=5.0, breaker=Breaker()),
        Lane("changes", "/api/v1/interventions", slots=4, seconds=5.0, breaker=Breaker()),
        Lane("look-ups", ROUTES, slots=16, seconds=1.0, breaker=Breaker()),
    )


class Lanes:
    """Sends each request through the lane of its kind, and predictions straight on."""

    def __init__(self, app: ASGIApp, lanes: Sequence[Lane], queue: Queue) -> None:
        self.app = app
        self.lanes = lanes
        self.queue = queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 503 where the lane is full or cut off, or where the answer does not begin in time."""
        path = scope.get("path", "")
        if path == PREDICTIONS:
            began = time.monotonic()
            await self.app(scope, receive, send)
            self.queue.took(began, time.monotonic())
        elif (lane := self._lane_to(path)) is None:
            await self.app(scope, receive, send)
        elif refusal := lane.refusal():
            await problem_answer(refusal, RETRY_AFTER)(scope, receive, send)
        else:
            await self._through(lane, scope, receive, send)

    def _lane_to(self, path: str) -> Lane | None:
        return next((lane for lane in self.lanes if lane.leads(path)), None)

    async def _through(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        """Holds a slot until the answer begins, or until whatever is stuck in a thread has ended there."""
        under_way = _UnderWay(lane, send)
        task = asyncio.create_task(under_way.run(partial(self.app, scope, receive)))
        await asyncio.wait({task}, timeout=lane.seconds)
        if not task.done() and under_way.give_up():
            if under_way.at_work:  # who found no thread free saw nothing of what the lane needs
                lane.saw(failed=True)
            await problem_answer(LATE, RETRY_AFTER)(scope, receive, send)
            return
        await task  # an error that nobody foresaw tells nothing of what the lane needs
        lane.saw(failed=scope.get("state", {}).get("outage", False), answered=under_way.heard.answered)


class _UnderWay:
    """One request in its lane, whose answer goes out only as long as it was not given up."""

    def __init__(self, lane: Lane, send: Send) -> None:
        self._lane = lane
        self._send = send
        self._limits = CancelScope()
        self._begun = self._given_up = self._left = False
        self.at_work = False
        self.heard = Heard()
        lane.taken += 1

    async def run(self, app: Any) -> None:
        """Ends when the work does: what waits for a thread is cancelled at once, what is in one when it returns."""
        try:
            with self._limits:
                await self._lane.free.acquire()
                self.at_work = True
                self.heard = listen()
                await app(self._pass_on)
        except Exception:
            if not self._given_up:
                raise
        finally:
            self._leave()

    def give_up(self) -> bool:
        """Stops what has not begun to answer, and tells whether there was anything to stop."""
        if not self._begun:
            self._given_up = True
            self._limits.cancel()
        return self._given_up

    async def _pass_on(self, message: Message) -> None:
        if not self._given_up:
            self._begun = True
            if not self._lane.to_the_end:
                self._leave()
            await self._send(message)

    def _leave(self) -> None:
        if self._left:
            return
        self._left = True
        self._lane.taken -= 1
        if self.at_work:
            self._lane.free.release()
