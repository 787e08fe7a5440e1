"""`churn serve` before it becomes the service: what cannot be served is said in a sentence, nothing is announced."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from churn.errors import ContractError, RequestError, SettingsError
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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHURN_DATABASE_URL", "nonsense"),
        ("CHURN_DATABASE_URL", "mysql://desk:secret@host/churn"),
        ("CHURN_POLL_SECONDS", "often"),
        ("CHURN_RATES", "bananas=1"),
        ("CHURN_CORS_ORIGINS", "*"),
        ("CHURN_ANSWER_CACHE", "paper"),
        ("CHURN_AUDIT_KEY", "short"),
        ("CHURN_TOKEN_KEYS", "/nowhere/keys"),
    ],
)
def test_a_wrong_variable_is_said_before_anything_is_announced(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable) as refused:
        serve("telco", HERE, 8000, 1)
    assert "secret" not in str(refused.value)
    assert capsys.readouterr().out == ""


def test_outside_of_development_there_is_no_key_by_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURN_MODE", "production")
    with pytest.raises(SettingsError, match="CHURN_TOKEN_KEYS: no key is named"):
        serve("telco", HERE, 8000, 1)


def test_a_contract_that_nothing_is_known_of_is_said_before_anything_is_announced(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ContractError, match="nosuch: no contract and no model has that name; there are ibm_telco, "):
        serve("nosuch", HERE, 8000, 1)
    assert capsys.readouterr().out == ""
