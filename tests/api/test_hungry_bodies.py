"""A body that is made to cost the service much costs the next in line nothing, and the machine little memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from api.deadline import MOST_HELD
from schemas.jobs import LARGEST_FILE
from tests.api.hungry_bodies import ESCAPES, HUNGRY_BODIES, JOBS, RATES, HungryBody
from tests.faults.long.api_service import JSON, START_SECONDS, Standing, served

SOON = 1.0  # seconds, also on a busy machine
GROWTH = 20.0  # megabytes
SENDERS = 40


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with served(tmp_path_factory.mktemp("home"), CHURN_RATES=RATES) as standing:
        latest = time.monotonic() + START_SECONDS
        while _status(standing, "/health/ready") != 200:
            assert time.monotonic() < latest
            time.sleep(0.05)
        yield standing


def _open(service: Standing, token: str) -> HTTPConnection:
    """A connection whose sender keeps the last byte of a large file to himself."""
    line = HTTPConnection("127.0.0.1", service.port, timeout=60)
    line.putrequest("POST", JOBS)
    for name, value in {"authorization": f"Bearer {token}", "content-type": "text/csv"}.items():
        line.putheader(name, value)
    line.putheader("content-length", str(LARGEST_FILE))
    line.endheaders()
    with suppress(ConnectionError):  # who was refused need not send on
        line.send(b"a" * (LARGEST_FILE - 1))
    return line


def _status(service: Standing, path: str, body: bytes = b"", token: str = "", kind: str = JSON) -> int:
    """Of the answer; 0 where nobody listens."""
    headers = {"authorization": f"Bearer {token}", "content-type": kind, "x-purpose": "tests"}
    with suppress(ConnectionRefusedError), closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as line:
        line.request("POST" if body else "GET", path, body or None, headers)
        return line.getresponse().status
    return 0


def test_the_service_tells_that_it_lives_while_a_stranger_sends_escapes_without_end(service: Standing):
    with ThreadPoolExecutor(1) as stranger:
        sent = stranger.submit(_status, service, ESCAPES.path, ESCAPES.body)
        time.sleep(0.05)
        began = time.monotonic()
        assert _status(service, "/health/live") == 200
        took = time.monotonic() - began
        assert sent.result() == ESCAPES.status
    assert took < SOON


@pytest.mark.parametrize("hungry", HUNGRY_BODIES, ids=lambda hungry: hungry.name)
def test_no_body_makes_the_service_grow_by_much_even_for_a_moment(service: Standing, hungry: HungryBody):
    before = service.memory()
    service.forget_peak()
    assert _status(service, hungry.path, hungry.body, service.token) == hungry.status
    assert service.peak() - before < GROWTH


@pytest.mark.parametrize("known", [False, True])
def test_many_large_bodies_at_once_take_no_more_than_their_room(service: Standing, known: bool):
    before = service.memory()
    service.forget_peak()
    with ThreadPoolExecutor(SENDERS) as senders:
        lines = list(senders.map(lambda _: _open(service, service.token if known else ""), range(SENDERS)))
    answers = [line.getresponse() for line in lines]
    assert service.peak() - before < (MOST_HELD / 1e6 if known else 0) + GROWTH
    told = Counter(answer.status for answer in answers)
    assert told.keys() == ({408, 503} if known else {401})
    assert told[408] == (MOST_HELD // LARGEST_FILE if known else 0)
    for line in lines:
        line.close()
    assert _status(service, JOBS, b"customer_id\nC1\n", service.token, "text/csv") == 202
