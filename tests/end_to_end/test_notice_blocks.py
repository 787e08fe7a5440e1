"""Where notices go is known to the server alone: its pages and its API show nobody the words that let people in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from store.orchestration import Notices
from tasks.automations import WEBHOOK, install_automations
from tasks.server import open_server


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")  # Apprise reads images by it
def test_a_notice_reaches_its_webhook_whose_address_nobody_is_shown(orchestrator: None) -> None:
    with webhook() as (url, came), open_server() as server:
        notices = Notices(webhook=f"{url}/OURKEY", mail="mailtos://ada:OURKEY@smtp.example.com?to=bob@example.com")
        assert list(install_automations(server, (), {}, notices)) == []
        shown = list(server.found("/block_documents"))
        assert {"churn-notices", "churn-mail"} <= {one["name"] for one in shown}
        assert "OURKEY" not in json.dumps(shown)
        CustomWebhookNotificationBlock.load(WEBHOOK).notify("the list is late", subject="telco")
    assert came == [("/OURKEY", {"text": "telco\nthe list is late"})]


@contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Its address, and what came by path and content."""
    came: list[tuple[str, Any]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", came
        server.shutdown()
