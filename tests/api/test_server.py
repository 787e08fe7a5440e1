"""The service as it really runs: slow and many senders on sockets, several workers, and an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from api import connections
from api.admission import QUEUE
from api.app import create_app
from api.connections import Connection
from churn.errors import SettingsError
from store.registry import Version
from store.service_settings import ServiceSettings
from store.settings import Settings
from tests.api.service import OPERATOR, TINY, admission

ROOT = Path(__file__).parent.parent.parent
LIVE = b"GET /health/live HTTP/1.1\r\nhost: churn\r\n\r\n"
READY = LIVE.replace(b"live", b"ready")
SCORED = b'{"customer_id": "C1"}'
DESK = "https://desk.example"


@dataclass(frozen=True)
class Worker:
    """One worker of the service, in a thread, and a request for a prediction by somebody who is let in."""

    server: uvicorn.Server
    predict: bytes


@pytest.fixture
def worker(settings: Settings, champion: Version) -> Iterator[Worker]:
    app = create_app(settings, TINY.name, ServiceSettings(origins=(DESK,)))
    config = uvicorn.Config(app, port=0, http=Connection, log_config=None, ws="none", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert eventually(lambda: server.started)
    yield Worker(server, prediction(admission(app, OPERATOR)))
    server.should_exit = True
    thread.join()


def prediction(admitted: Mapping[str, str]) -> bytes:
    given = {"host": "churn", "content-type": "application/json", "content-length": str(len(SCORED)), **admitted}
    lines = ["POST /api/v1/predictions HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + SCORED


@contextmanager
def dialled(worker: Worker) -> Iterator[socket.socket]:
    with socket.create_connection(worker.server.servers[0].sockets[0].getsockname(), timeout=20) as line:
        yield line


def answer(line: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer on the line: status, headers, body."""
    with line.makefile("rb", buffering=0) as read:
        status = int(read.readline().split()[1])
        headers = dict(header.decode().strip().split(": ", 1) for header in iter(read.readline, b"\r\n"))
        return status, headers, read.read(int(headers["content-length"]))


def test_the_questions_of_browsers_do_not_stay_in_the_queue(worker: Worker):
    lines = (
        b"OPTIONS /api/v1/predictions HTTP/1.1",
        b"host: churn",
        b"access-control-request-method: POST",
        b"origin: %b",
    )
    asked = b"\r\n".join((*lines, b"", b""))
    with dialled(worker) as line:
        for status, page in [(200, DESK), (400, "https://elsewhere.test")] * 20:
            line.sendall(asked % page.encode())
            assert answer(line)[0] == status
    assert worker.server.config.app.state.queue.waiting == 0


def test_who_is_refused_may_ask_again_for_as_long_as_anybody_else_and_no_longer(worker: Worker):
    worker.server.config.timeout_keep_alive = 1
    app = worker.server.config.app
    with dialled(worker) as line:
        app.state.queue.waiting, app.state.queue._pace = QUEUE, 1.0
        for _ in range(3):
            line.sendall(worker.predict)
            assert answer(line)[0] == 503
            time.sleep(0.6)
        assert line.recv(1) == b""
    app.state.queue.waiting = 0
    with dialled(worker) as line:
        line.sendall(worker.predict)
        assert answer(line)[0] == 200
    assert eventually(lambda: b"churn_refusals_total 3.0" in app.state.metrics.text()), "counted after the answer"


def test_a_connection_serves_one_request_after_the_other(worker: Worker):
    with dialled(worker) as line:
        for asked in (LIVE, worker.predict, worker.predict, LIVE):
            line.sendall(asked)
            assert answer(line)[0] == 200


def test_no_header_names_the_server_and_each_answer_has_a_number(worker: Worker):
    with dialled(worker) as line:
        line.sendall(LIVE)
        headers = answer(line)[1]
    assert "server" not in headers
    assert len(headers["x-request-id"]) == 16


def test_a_full_queue_refuses_at_once_but_answers_for_health(worker: Worker):
    queue = worker.server.lifespan.state["queue"]
    with dialled(worker) as line:
        queue.waiting, queue._pace = 1_000, 1.0
        line.sendall(worker.predict)
        status, headers, body = answer(line)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body)["type"] == "urn:problem-type:churn:busy"
        line.sendall(LIVE)
        assert answer(line)[0] == 200
        line.sendall(worker.predict[:50])  # what comes in parts is read before it is refused
        time.sleep(0.1)
        line.sendall(worker.predict[50:])
        assert answer(line)[0] == 503
        queue.waiting = 0
        line.sendall(worker.predict)
        assert answer(line)[0] == 200
    assert queue.waiting == 0


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HT", LIVE[:-2]])
def test_headers_that_do_not_end_get_408(worker: Worker, monkeypatch: pytest.MonkeyPatch, sent: bytes):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with dialled(worker) as line:
        line.sendall(sent)
        status, headers, _ = answer(line)
        assert (status, headers["connection"]) == (408, "close")
        assert line.recv(1) == b""


def test_slow_headers_after_a_first_request_get_408_too(worker: Worker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with dialled(worker) as line:
        line.sendall(LIVE)
        assert answer(line)[0] == 200
        line.sendall(LIVE[:20])
        assert answer(line)[0] == 408


def test_what_is_no_http_is_a_problem_too(worker: Worker):
    with dialled(worker) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, headers, _ = answer(line)
    assert (status, headers["content-type"]) == (400, "application/problem+json")


def test_a_declared_body_of_100_mb_is_refused_before_it_comes(worker: Worker):
    with dialled(worker) as line:
        line.sendall(
            b"POST /api/v1/predictions HTTP/1.1\r\nhost: churn\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 999
        )
        assert answer(line)[0] == 413


def test_a_worker_that_ends_says_so_with_its_next_answer(worker: Worker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "FAREWELL_SECONDS", 5.0)
    with dialled(worker) as line, dialled(worker) as other:
        for each in (line, other):
            each.sendall(LIVE)
            assert "connection" not in answer(each)[1]
        worker.server.should_exit = True
        assert eventually(lambda: not worker.server.servers[0].is_serving())
        time.sleep(0.3)
        line.sendall(READY)
        status, headers, body = answer(line)
        assert (status, headers["connection"]) == (503, "close")
        assert "process" in json.loads(body)["missing"]
        other.sendall(worker.predict)
        status, headers, _ = answer(other)
        assert (status, headers["connection"]) == (200, "close")


def test_the_command_serves_a_contracts_champion_with_two_workers_and_ends_in_order(
    settings: Settings, champion: Version
):
    port = free_port()
    environment = {**os.environ, "CHURN_HOME": str(settings.data.parent), "CHURN_MODE": "development"}
    asked = ("serve", "--contract", TINY.name, "--port", str(port))
    command = [sys.executable, "-c", "from cli.app import main; main()", *asked]
    served = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert eventually(lambda: says_200(port, READY), seconds=120)
    finally:
        served.send_signal(signal.SIGTERM)
        told, _ = served.communicate(timeout=60)
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert served.returncode == 0
    assert [line for line in lines if line["event"] == "Application startup complete."]
    assert list((settings.data / "metrics" / str(port)).iterdir())


def test_where_no_worker_can_start_the_service_ends_as_for_a_wrong_variable(settings: Settings):
    program = "from api import server; server.START_SECONDS = 1; server.main()"
    environment = {**os.environ, "CHURN_HOME": str(settings.data.parent), "CHURN_MODE": "production"}
    with socket.create_server(("127.0.0.1", 0)) as line:
        here = ("--host", "127.0.0.1", "--port", str(line.getsockname()[1]), "--line", str(line.fileno()))
        command = [sys.executable, "-c", program, "--contract", TINY.name, "--workers", "1", *here]
        kept = (line.fileno(),)
        done = subprocess.run(command, cwd=ROOT, env=environment, pass_fds=kept, capture_output=True, text=True)
    assert done.returncode == SettingsError.exit_code
    assert "CHURN_TOKEN_KEYS: no key is named" in done.stdout


def says_200(port: int, asked: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(asked)
            return answer(line)[0] == 200
    except (OSError, IndexError):
        return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def eventually(seen, seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while not seen() and time.monotonic() < ends:
        time.sleep(0.01)
    return seen()
