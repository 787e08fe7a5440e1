"""A wrong address of the orchestrator is told as such, not as a fault of ours."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from churn.errors import OrchestratorUnreachable
from store.orchestrator import RETRAINING, Orchestrator


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server that has pages, and no API."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html></html>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_server_that_is_no_prefect_is_named_so(page: str) -> None:
    with pytest.raises(OrchestratorUnreachable, match="no Prefect API"):
        Orchestrator(page).run_of(RETRAINING, "1")


@pytest.mark.parametrize("address", ["http://127.0.0.1:port/api", "localhost:4200/api", "http://[::1"])
def test_what_is_no_address_does_not_answer(address: str) -> None:
    with pytest.raises(OrchestratorUnreachable, match="PREFECT_API_URL"):
        Orchestrator(address).run_of(RETRAINING, "1")
