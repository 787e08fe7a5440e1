"""A run that fell silent is marked as crashed where it is dead, and left alone where it lives, whoever was away."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from store.processes import is_running
from tasks import silence
from tasks.server import Server

RUN = "11111111-1111-1111-1111-111111111111"
LONG_AGO, NOW = {"timestamp": "2026-01-01T00:00:00Z"}, {"timestamp": "9999-01-01T00:00:00Z"}
MARK = f"{silence.BEGUN_WITH}={RUN}"
TWO_LOOKS, MANY_LOOKS = silence.PAUSE / 2, 5 * silence.PAUSE  # seconds of patience


class Standing:
    """A server that knows the run, and which beats reached it; it writes down which states it was told."""

    def __init__(self) -> None:
        self.run: dict[str, Any] = {"id": RUN, "state_type": "RUNNING", "infrastructure_pid": None, "state": LONG_AGO}
        self.later: dict[str, Any] = {}  # what is otherwise from the second look on
        self.status = "ACCEPT"
        self.beats: list[str] = []
        self.told: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            run, self.run = self.run, self.run | self.later
            return httpx.Response(200, json=run)
        body = json.loads(request.content)
        if request.url.path == "/events/filter":
            asked = body["filter"]
            assert asked["resource"]["id"] == [f"prefect.flow-run.{RUN}"]
            newer = [beat for beat in self.beats if beat > asked["occurred"]["since"]]
            return httpx.Response(200, json={"events": newer})
        self.told.append(body["state"]["type"])
        return httpx.Response(201, json={"status": self.status})

    @contextmanager
    def opened(self) -> Iterator[Server]:
        with httpx.Client(transport=httpx.MockTransport(self), base_url="http://prefect") as client:
            yield Server(client)


class Clock:
    """On which time passes between two looks alone, however long a look takes on a busy machine."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    there = Standing()
    monkeypatch.setattr(silence, "open_server", there.opened)
    monkeypatch.setattr(silence, "time", Clock())
    return there


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that was begun for the run, as a worker begins it."""
    with subprocess.Popen(["sleep", "60"], env=os.environ | {silence.BEGUN_WITH: RUN}) as begun:
        yield begun
        begun.kill()


def test_a_run_that_is_heard_of_no_more_is_marked_as_crashed(standing: Standing) -> None:
    standing.beats = ["2026-01-01T00:00:00+00:00"]
    assert silence.end_if_dead.fn(RUN, MANY_LOOKS)
    assert standing.told == ["CRASHED"]


def test_a_run_that_beats_again_is_left_alone(standing: Standing) -> None:
    standing.beats = ["9999-01-01T00:00:00+00:00"]
    assert not silence.end_if_dead.fn(RUN, MANY_LOOKS)
    assert standing.told == []


def test_a_run_whose_process_lives_is_left_alone_although_it_cannot_be_heard(
    standing: Standing, process: subprocess.Popen[bytes]
) -> None:
    standing.run["infrastructure_pid"] = str(process.pid)
    assert not silence.end_if_dead.fn(RUN, MANY_LOOKS)
    process.kill()
    process.wait()
    assert silence.end_if_dead.fn(RUN, MANY_LOOKS)
    assert standing.told == ["CRASHED"]


def test_a_run_whose_worker_died_before_it_began_is_handed_out_again(standing: Standing) -> None:
    standing.run["state_type"] = "PENDING"
    assert silence.end_if_dead.fn(RUN, MANY_LOOKS)
    assert standing.told == ["SCHEDULED"]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
@pytest.mark.parametrize("moved", [{"state_type": "COMPLETED"}, {"state_type": "RUNNING", "state": NOW}], ids=str)
def test_a_run_that_begins_or_ends_between_the_last_two_looks_is_left_alone(
    standing: Standing, state: str, moved: dict[str, Any]
) -> None:
    standing.run["state_type"], standing.later = state, moved
    assert not silence.end_if_dead.fn(RUN, TWO_LOOKS)
    assert standing.told == []


def test_a_dead_run_that_is_asked_to_stop_meanwhile_is_stopped(standing: Standing) -> None:
    standing.later = {"state_type": "CANCELLING", "state": NOW}
    assert silence.end_if_dead.fn(RUN, TWO_LOOKS)
    assert standing.told == ["CANCELLED"]


def test_a_run_whose_end_the_server_refuses_is_not_said_to_be_dead(standing: Standing) -> None:
    standing.status = "ABORT"
    assert not silence.end_if_dead.fn(RUN, TWO_LOOKS)


@pytest.mark.parametrize(("state", "told"), [("CANCELLING", ["CANCELLED"]), ("COMPLETED", []), ("SCHEDULED", [])])
def test_who_was_to_be_stopped_is_stopped_and_who_ended_or_waits_stays_so(
    standing: Standing, state: str, told: list[str]
) -> None:
    standing.run["state_type"] = state
    assert silence.end_if_dead.fn(RUN, MANY_LOOKS) == bool(told)
    assert standing.told == told


def test_a_process_of_that_number_that_was_begun_for_something_else_is_not_meant(
    process: subprocess.Popen[bytes],
) -> None:
    assert is_running(process.pid, MARK)
    assert not is_running(process.pid, f"{silence.BEGUN_WITH}=another")
    process.kill()
    process.wait()
    assert not is_running(process.pid, MARK)
