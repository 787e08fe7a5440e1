"""The requests of the README, sent as they stand there: log in, look up, predict, page the list, record an outcome."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.code import ROOT
from tests.command import CHURN
from tests.end_to_end.nights import Nights, view_rows

CUSTOMER = "C000032421"  # of the README and its examples; this smaller telecom has others
NIGHT = "2026-01-01"
ADDRESS = "http://127.0.0.1:8000"
READY_SECONDS = 60


def requests_of_the_readme() -> str:
    """The commands of the block that asks the service, but for the one that starts it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    [block] = [block for block in blocks if "curl" in block]
    return "".join(line for line in block.splitlines(keepends=True) if not line.startswith("make serve"))


@pytest.fixture(scope="module")
def listed(shared_nights: Nights) -> dict[str, Any]:
    """The first customer of the list."""
    return min(view_rows("outreach_current"), key=lambda row: row["rank"])


@pytest.fixture(scope="module")
def environment(shared_nights: Nights) -> dict[str, str]:
    return {**os.environ, "CHURN_HOME": str(shared_nights.home), "CHURN_MODE": "development"}


@pytest.fixture(scope="module")
def service(environment: dict[str, str]) -> Iterator[str]:
    """The address of a service with two workers, as `make serve` starts it but for the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([CHURN, "serve", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(url: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise AssertionError(f"{url} did not become ready")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, listed: dict[str, Any]) -> Path:
    """A folder like the checkout, whose examples are of a customer of this telecom."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    for example in (folder / "docs" / "examples").iterdir():
        text = example.read_text()
        assert CUSTOMER in text, "the example is of the README's customer"
        example.write_text(here(text, listed))
    return folder


def here(text: str, listed: dict[str, Any]) -> str:
    return text.replace(CUSTOMER, listed["customer_id"]).replace(NIGHT, str(listed["as_of"]))


def documents(text: str) -> list[Any]:
    """The JSON documents that stand one behind the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def test_the_requests_of_the_readme_are_answered(
    service: str, checkout: Path, environment: dict[str, str], listed: dict[str, Any]
) -> None:
    script = here(requests_of_the_readme(), listed).replace(ADDRESS, service)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    added, _, answers = done.stdout.partition("\n")
    assert added == "ada may ask as agent."
    customer, prediction, page, kept = documents(answers)
    assert (customer["customer_id"], customer["outreach"]["status"]) == (listed["customer_id"], "listed")
    assert 0 < prediction["probability"] < 1
    assert page["customers"][0]["customer_id"] == listed["customer_id"]
    assert kept == {"new": 1, "known": 0, "refused": []}
