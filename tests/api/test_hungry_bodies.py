"""A body that is made to cost the service much costs the next in line nothing, and the machine little memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from tests.api.hungry_bodies import ESCAPES, HUNGRY_BODIES, RATES, HungryBody
from tests.faults.long.api_service import JSON, START_SECONDS, Standing, served

SOON = 1.0  # seconds, also on a busy machine
GROWTH = 20.0  # megabytes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with served(tmp_path_factory.mktemp("home"), CHURN_RATES=RATES) as standing:
        latest = time.monotonic() + START_SECONDS
        while _status(standing, "/health/ready") != 200:
            assert time.monotonic() < latest
            time.sleep(0.05)
        yield standing


def _status(service: Standing, path: str, body: bytes = b"", token: str = "") -> int:
    """Of the answer; 0 where nobody listens."""
    headers = {"authorization": f"Bearer {token}", "content-type": JSON, "x-purpose": "tests"}
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
