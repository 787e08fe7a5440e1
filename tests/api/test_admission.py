"""Who comes too many or too late is refused at once; what is stuck in one lane keeps nobody else waiting."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.admission import DEADLINE, PREDICTIONS, QUEUE, Admission, Arrival, Lane, Lanes, Queue, lanes
from api.app import create_app
from api.breaker import MOST_FAILURES, Breaker
from store.registry import Version
from store.settings import Settings
from tests.api.service import TINY, Ask, running

QUICK = Lane("look-ups", "/api/", slots=2, seconds=0.2)
MODELS = "/api/v1/models"
IN_A_LANE = (
    f"{PREDICTIONS}/batch",
    "/api/v1/token",
    "/api/v1/training-runs",
    "/api/v1/customers/C1/receipt",
    "/api/v1/models/all/promote",
    f"/api/v1/jobs/{'a' * 24}/events",
    "/api/v1/jobs",
    "/api/v1/interventions",
    "/api/v1/models",
)


class Jammed:
    """An app whose look-ups wait in threads until they are let go."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.queue = replace(lane), Queue()
        self.go_on = threading.Event()
        self.begun = 0
        self.app = FastAPI()
        self.app.get("/api/slow")(self._slow)
        self.app.get(PREDICTIONS)(self._quick)
        self.app.get("/health/live")(self._quick)
        self.app.add_middleware(Lanes, lanes=(self.lane,), queue=self.queue)
        self.app.add_middleware(Admission)

    def _slow(self) -> str:
        self.begun += 1
        self.go_on.wait(20)
        return "done"

    async def _quick(self) -> str:
        return "done"


@pytest.fixture
def jammed() -> Iterator[Jammed]:
    app = Jammed(QUICK)
    yield app
    app.go_on.set()


def statuses(ask: Ask, count: int, path: str = "/api/slow") -> list[int]:
    with ThreadPoolExecutor(count) as callers:
        return sorted(answer.status_code for answer in callers.map(lambda _: ask("GET", path), range(count)))


def test_what_takes_too_long_is_answered_all_the_same_and_keeps_its_slot_until_its_thread_is_free(jammed: Jammed):
    with running(jammed.app) as ask:
        late = ask("GET", "/api/slow")
        assert (late.status_code, late.json()["type"]) == (503, "urn:problem-type:churn:late")
        assert late.headers["retry-after"] == "1"
        assert jammed.lane.taken == 1
        jammed.go_on.set()
        assert eventually(lambda: jammed.lane.taken == 0)
        assert ask("GET", "/api/slow").json() == "done"


def test_a_full_lane_refuses_at_once_and_predictions_pass_it_by(jammed: Jammed):
    with running(jammed.app) as ask:
        assert statuses(ask, QUICK.slots) == [503, 503]
        began = time.monotonic()
        refused = ask("GET", "/api/slow")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem-type:churn:busy")
        assert time.monotonic() - began < QUICK.seconds
        assert ask("GET", PREDICTIONS).status_code == ask("GET", "/health/live").status_code == 200
        jammed.go_on.set()


def test_what_waits_for_a_thread_beyond_its_time_is_never_begun_and_blames_nobody():
    jammed = Jammed(replace(QUICK, slots=9, threads=1, breaker=Breaker()))
    with running(jammed.app) as ask:
        assert statuses(ask, 4) == [503] * 4
        assert not jammed.lane.breaker.open
        assert eventually(lambda: (jammed.begun, jammed.lane.taken) == (1, 1))
        jammed.go_on.set()
        assert eventually(lambda: jammed.lane.taken == 0)
        assert ask("GET", "/api/slow").json() == "done"
        assert jammed.begun == 2


def test_a_lane_whose_threads_are_all_jammed_leaves_the_others_theirs(settings: Settings):
    app, go_on = create_app(settings, TINY.name), threading.Event()
    jams = {"/api/v1/customers/C/receipt": 2, "/api/v1/training-runs/x": 2, "/api/v1/jobs/x": 4}
    app.router.routes[:0] = [Route(path, lambda request: PlainTextResponse(str(go_on.wait(20)))) for path in jams]
    app.router.routes[:0] = [Route("/api/v1/quick", lambda request: PlainTextResponse("done"))]
    with running(app) as ask, ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(ask, "GET", path) for path, times in jams.items() for _ in range(times)]
        assert eventually(lambda: sum(lane.taken for lane in app.state.lanes) == len(asked))
        took = [seconds_of(ask, "/api/v1/quick") for _ in range(5)]
        go_on.set()
        assert {call.result().status_code for call in asked} == {200}
    assert min(took) < 0.2


def seconds_of(ask: Ask, path: str) -> float:
    began = time.monotonic()
    assert ask("GET", path).status_code == 200
    return time.monotonic() - began


@pytest.mark.parametrize("path", IN_A_LANE)
def test_what_nobody_foresaw_is_told_as_such_behind_every_lane_and_cuts_nobody_off(
    settings: Settings, path: str, caplog: pytest.LogCaptureFixture
):
    def divide(request: Request) -> None:
        raise ZeroDivisionError("C000001")

    app = create_app(settings, TINY.name)
    app.router.routes[:0] = [Route(path, divide)]
    with running(app) as ask:
        answers = [ask("GET", path) for _ in range(2 * MOST_FAILURES)]
    assert [answer.status_code for answer in answers] == [500] * len(answers)
    assert answers[0].json()["instance"] == f"urn:request:{answers[0].headers['x-request-id']}"
    assert not any(lane.breaker.open for lane in app.state.lanes if lane.breaker)
    assert "C000001" not in caplog.text


def test_every_lane_is_gone_through_by_these_paths():
    assert {next(lane.name for lane in lanes() if lane.leads(path)) for path in IN_A_LANE} == {
        lane.name for lane in lanes()
    }


def test_three_late_answers_cut_the_lane_off_until_one_came_in_time():
    jammed = Jammed(replace(QUICK, slots=9))
    now = [0.0]
    jammed.lane.breaker = Breaker(lambda: now[0])
    with running(jammed.app) as ask:
        assert statuses(ask, 3) == [503] * 3
        jammed.go_on.set()
        cut_off = ask("GET", "/api/slow")
        assert (cut_off.status_code, cut_off.json()["type"]) == (503, "urn:problem-type:churn:cut-off")
        assert ask("GET", PREDICTIONS).status_code == 200
        now[0] = 2.0
        assert [ask("GET", "/api/slow").status_code for _ in range(2)] == [200, 200]


def test_who_is_refused_before_the_database_is_asked_neither_closes_the_breaker_nor_decides_for_others(
    settings: Settings, champion: Version
):
    app = create_app(settings, TINY.name)
    breaker = app.state.lanes[-1].breaker
    stranger = {"authorization": "Bearer no"}
    with running(app) as ask:
        with dead(settings):
            for _ in range(MOST_FAILURES):
                assert ask("GET", "/api/v1/nowhere").status_code == 404
                assert ask("GET", MODELS, headers=stranger).status_code == 401
                assert ask("GET", MODELS).status_code == 503
            assert breaker.open
            assert eventually(lambda: ask("GET", MODELS, headers=stranger).status_code == 401)  # the one who may try
            assert breaker.open
        assert eventually(lambda: ask("GET", MODELS).status_code == 200)
        assert not breaker.open


@contextmanager
def dead(settings: Settings) -> Iterator[None]:
    """Another program keeps the database to itself."""
    path = settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(("to_the_end", "held"), [(False, 0), (True, 1)])
def test_a_stream_that_has_begun_is_not_cut_short_and_holds_a_slot_only_of_a_lane_for_streams(to_the_end, held):
    lane = replace(QUICK, to_the_end=to_the_end)
    taken = []

    async def stream(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        taken.append(lane.taken)
        await anyio.sleep(2 * lane.seconds)
        await send({"type": "http.response.body", "body": b"all of it"})

    app = FastAPI()
    app.mount("/api/events", stream)
    app.add_middleware(Lanes, lanes=(lane,), queue=Queue())
    with running(app) as ask:
        assert ask("GET", "/api/events/").text == "all of it"
    assert (taken, lane.taken) == ([held], 0)


MOVES = ["/api/v1/models/all/promote", "/api/v1/models/all/rollback", "/api/v1/outreach/handover"]


@pytest.mark.parametrize("path", MOVES)
def test_what_an_operator_moves_has_more_time_than_a_look_up_and_cuts_none_off(path: str):
    lane = next(lane for lane in lanes() if lane.leads(path))
    assert lane.seconds >= 10
    assert lane.breaker is None


def test_all_lanes_together_have_their_threads_and_no_more(settings: Settings):
    tokens: list[float] = []

    async def count(request: Request) -> PlainTextResponse:
        tokens.append(anyio.to_thread.current_default_thread_limiter().total_tokens)
        return PlainTextResponse("")

    app = create_app(settings, TINY.name)
    app.router.routes[:0] = [Route("/count", count)]
    with running(app) as ask:
        ask("GET", "/count")
    assert tokens == [sum(lane.threads for lane in app.state.lanes)]
    assert tokens[0] <= 50


WAITED = [
    # seconds waited   refused at the door   answered
    (0.0, False, 200),
    (DEADLINE - 0.2, False, 200),
    (DEADLINE + 0.1, False, 503),
    (0.0, True, 503),
]


@pytest.mark.parametrize(("seconds", "refused", "status"), WAITED)
def test_what_waited_too_long_is_dropped_unexecuted_but_for_questions_about_health(seconds, refused, status):
    begun = []
    app = FastAPI()

    @app.get(PREDICTIONS)
    @app.get("/health/live")
    async def count() -> None:
        begun.append(1)

    app.add_middleware(Admission)

    async def from_a_connection(scope, receive, send):
        if scope["type"] == "http":
            scope["state"] = {"arrival": Arrival(time.monotonic() - seconds, refused=refused)}
        await app(scope, receive, send)

    from_a_connection.router, from_a_connection.state = app.router, app.state
    with running(from_a_connection) as ask:
        assert ask("GET", PREDICTIONS).status_code == status
        assert len(begun) == (status == 200)
        assert ask("GET", "/health/live").status_code == 200


PACES = [
    # waiting   seconds each   full
    (QUEUE - 1, 10.0, False),
    (QUEUE, 0.010, True),
    (QUEUE, 0.0004, False),
    (200, 0.0004, True),
]


@pytest.mark.parametrize(("waiting", "seconds", "full"), PACES)
def test_more_than_sixteen_wait_only_where_they_are_worked_off_in_a_tenth_of_the_deadline(waiting, seconds, full):
    queue = Queue()
    for _ in range(500):
        queue.took(0.0, seconds)
    for _ in range(waiting):
        queue.enter(Arrival(0.0))
    assert queue.full is full


def test_one_that_waited_for_something_else_lets_nobody_be_refused_for_long():
    queue = Queue()
    for seconds in (60.0, *[0.0004] * 30):
        queue.took(0.0, seconds)
    for _ in range(QUEUE):
        queue.enter(Arrival(0.0))
    assert not queue.full


def test_while_others_wait_a_prediction_takes_all_that_lies_between_two_of_them():
    queue, arrivals = Queue(), [Arrival(0.0) for _ in range(500)]
    for arrival in arrivals:
        queue.enter(arrival)
    for number, arrival in enumerate(arrivals[:300]):
        queue.leave(arrival)
        queue.took(number * 0.0004 + 0.0003, (number + 1) * 0.0004)  # the tenth of a millisecond is the framework's
    assert queue.full
    for arrival in arrivals:
        queue.leave(arrival)
    queue.took(1_000.0, 1_000.0004)  # after a pause in which nobody waited
    for arrival in arrivals[:QUEUE]:
        queue.enter(arrival)
    assert not queue.full


def test_who_leaves_the_queue_is_counted_once():
    queue, arrival = Queue(), Arrival(0.0)
    queue.enter(arrival)
    for _ in range(2):
        queue.leave(arrival)
    assert queue.waiting == 0


def eventually(seen, seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while not seen() and time.monotonic() < ends:
        time.sleep(0.01)
    return seen()
