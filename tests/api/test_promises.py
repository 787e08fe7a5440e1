"""The service keeps what its own OpenAPI document promises, whatever is asked of it: schemathesis asks."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from api.connections import Connection
from store.rate_limits import PER_MINUTE
from store.registry import Version
from store.settings import Settings
from tests.api.lists import publish_list
from tests.api.service import OPERATOR, TINY, admission
from tests.api.test_server import eventually

SECONDS = 25  # of asking, spread over all routes; what comes up is tried first, and then what chance finds
PLENTY = dict.fromkeys(PER_MINUTE, 6_000_000)
LONGEST_LINE = 400  # of what it says; it quotes bodies of thousands of letters
BUT_FOR = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def address(settings: Settings, champion: Version) -> Iterator[tuple[str, dict[str, str]]]:
    """Where a worker with a published list answers, and the headers of somebody who is let in."""
    publish_list(settings, [1, 2, 3, 4], held_out=[5])
    app = create_app(replace(settings, rates=PLENTY), TINY.name)
    config = uvicorn.Config(app, port=0, http=Connection, log_config=None, ws="none", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert eventually(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}", admission(app, OPERATOR)
    server.should_exit = True
    thread.join()


def test_schemathesis_finds_no_broken_promise(address: tuple[str, dict[str, str]], tmp_path: Path):
    url, admitted = address
    headers = [part for name, value in admitted.items() for part in ("--header", f"{name}: {value}")]
    bounded = ["--max-time", str(SECONDS), "--seed", "1", "--generation-database", "none", "--no-shrink"]
    program = [Path(sys.executable).with_name("st"), "--config-file", BUT_FOR]
    command = [*program, "run", f"{url}/openapi.json", *headers, *bounded]
    told = subprocess.run([*command, "--no-color", "--warnings", "off"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, "\n".join(line[:LONGEST_LINE] for line in (told.stdout + told.stderr).splitlines())
