"""`make up` says that what it started runs only where it does, and `make down` stops what does, whatever has died."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.end_to_end.standing import ROOT, free_port

LASTS = "exec sleep 100"
STANDING = ("server", "api", "worker")


class Checkout:
    """A checkout with the scripts of ours, in which nothing of what they start does anything but stand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "data" / "run"
        self.port = free_port()
        shutil.copytree(ROOT / "scripts", folder / "scripts")
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "environment", folder / "deploy")
        self.program("prefect", LASTS)
        self.program("churn", f'[ "$1" = serve ] || exec sleep 0.5\n{LASTS}')

    def program(self, name: str, does: str) -> None:
        path = self.folder / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def script(self, name: str) -> tuple[int, str]:
        """How a script ends, and what it says."""
        said = self.folder / f"{name}.log"
        with said.open("w") as log:  # who waits for the end of a pipe waits for all that the script leaves running
            done = subprocess.run(
                [self.folder / "scripts" / name], stdout=log, stderr=log, check=False,
                env={"PATH": os.environ["PATH"], "PREFECT_PORT": self.port},
            )  # fmt: skip
        return done.returncode, said.read_text()

    def pid(self, name: str) -> int:
        return int((self.run / f"{name}.pid").read_text().split()[0])

    def write_pid(self, name: str, line: str) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / f"{name}.pid").write_text(line)


def lives(pid: int) -> bool:
    stat = Path("/proc") / str(pid) / "stat"
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def one_that_died() -> int:
    with subprocess.Popen(["true"]) as ended:
        pass
    return ended.pid


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    made.script("down")


@pytest.fixture
def stranger(checkout: Checkout) -> Iterator[None]:
    """Somebody else's server, on the port of ours."""

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", int(checkout.port)), Healthy) as server:
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        yield
        server.shutdown()
        answering.join()


def test_what_stands_is_started_once_and_stopped(checkout: Checkout) -> None:
    assert checkout.script("up")[0] == 0
    pids = [checkout.pid(name) for name in STANDING]
    assert all(map(lives, pids))
    ended, said = checkout.script("up")
    assert (ended, said.count("runs already")) == (0, 3)
    assert checkout.script("down") == (0, "api stopped\nworker stopped\nserver stopped\n")
    assert not any(map(lives, pids))


def test_a_service_whose_port_is_taken_is_told_of(checkout: Checkout) -> None:
    checkout.program("churn", '[ "$1" = serve ] || exec sleep 0.5\necho "the port is taken"; exit 3')
    ended, said = checkout.script("up")
    assert ended == 1
    assert f"api has ended, see {checkout.run}/api.log" in said
    assert "API:" not in said


def test_a_worker_that_ends_while_it_starts_is_told_of(checkout: Checkout) -> None:
    checkout.program("prefect", f'[ "$1" = worker ] && {{ sleep 1; exit 1; }}\n{LASTS}')
    ended, said = checkout.script("up")
    assert ended == 1
    assert f"worker has ended, see {checkout.run}/worker.log" in said


def test_what_died_before_its_beginning_was_written_down_is_started_and_keeps_nothing_else_standing(
    checkout: Checkout,
) -> None:
    checkout.write_pid("api", f"{one_that_died()} \n")
    ended, said = checkout.script("up")
    assert (ended, "api started" in said) == (0, True)
    server = checkout.pid("server")
    checkout.write_pid("api", f"{one_that_died()} \n")
    assert checkout.script("down")[0] == 0
    assert not lives(server)


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("left", ["", "{} 12345\n"])
def test_a_server_that_somebody_else_started_is_left_alone(checkout: Checkout, left: str) -> None:
    """After a reboot a number is left of the server that was ours."""
    if left:
        checkout.write_pid("server", left.format(one_that_died()))
    ended, said = checkout.script("up")
    assert ended == 1
    assert f"Something answers at http://127.0.0.1:{checkout.port}/api already" in said
    assert not (checkout.run / "worker.pid").exists()
