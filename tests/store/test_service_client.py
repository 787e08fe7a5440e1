"""Whoever asks the service waits as long as it asks him to, and no longer than he has patience."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from churn.errors import ServiceUnreachable
from store import service_client
from store.service_client import Service


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[Service, list[int]]]:
    """A service that gives these answers, one after the other, and those that it has left to give."""
    left = list(statuses)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"customer_id": "C1", "detail": "Too many."}'
            self.send_response(left.pop(0))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *told: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Service(f"http://127.0.0.1:{server.server_port}", "a token"), left
        server.shutdown()


def test_who_has_asked_too_much_asks_again_when_he_may():
    with answering(200, 429, 429, 200) as (service, left):
        assert [shown and shown["customer_id"] for shown in service.look_ups(["C1", "C2"])] == ["C1", "C1"]
    assert left == []


def test_who_may_not_ask_again_soon_is_told_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service_client, "PATIENCE_SECONDS", 0.0)
    with answering(429) as (service, _), pytest.raises(ServiceUnreachable, match="the service answered 429: Too many"):
        list(service.look_ups(["C1"]))
