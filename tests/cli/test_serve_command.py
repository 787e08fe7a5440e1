"""`churn serve` before it becomes the service: what cannot be served is said in a sentence, nothing is announced."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from churn.errors import RequestError
from cli.serve import serve
from store.settings import Settings

HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_HOME", str(settings.data.parent))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody has."""
    with socket.create_server((HERE, 0)) as line:
        yield line.getsockname()[1]


def test_a_port_that_is_taken_is_said_before_anything_is_announced(taken: int, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RequestError, match=f"--port: port {taken} is taken\n  Stop what listens there"):
        serve("telco", HERE, taken, 1)
    assert capsys.readouterr().out == ""


def test_an_address_of_another_machine_is_said():
    with pytest.raises(RequestError, match=r"192\.0\.2\.1, port 8000: Cannot assign"):
        serve("telco", "192.0.2.1", 8000, 1)
