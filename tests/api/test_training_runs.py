"""An operator asks for a training run; where the orchestrator is away he is told so, and nothing else is."""

from __future__ import annotations

import time

import pytest

from api.app import create_app
from schemas.users import Role, User
from store.registry import Version
from store.settings import Settings
from tests.api.service import TINY, Ask, running
from tests.api.test_server import free_port

PATH = "/api/v1/training-runs"
KEY = {"idempotency-key": "train-tonight"}
RUN = "00000000-0000-0000-0000-000000000000"
AWAY = [None, "http://127.0.0.1:{port}/api", "nonsense"]
REFUSED = [
    {"promote": "yes"},
    {"estimator": "neural_network"},
    {"who": "me"},
    {"source": "sqlite:///elsewhere.db"},
    {"contract": "another"},
]


@pytest.mark.parametrize("url", AWAY)
def test_without_the_orchestrator_the_service_says_so_soon_and_goes_on(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str | None
):
    if url is None:
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
    else:
        monkeypatch.setenv("PREFECT_API_URL", url.format(port=free_port()))
    began = time.monotonic()
    for answer in (ask("POST", PATH, json={}, headers=KEY), ask("GET", f"{PATH}/{RUN}")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "127.0.0.1" not in answer.text
    assert time.monotonic() - began < 10
    assert ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}).status_code == 200


@pytest.mark.parametrize("role", [Role.AGENT, Role.ANALYST, Role.SERVICE])
def test_training_is_for_operators(settings: Settings, champion: Version, role: Role):
    with running(create_app(settings, TINY.name), who=User("somebody", role)) as ask:
        assert ask("POST", PATH, json={}, headers=KEY).status_code == 403
        assert ask("GET", f"{PATH}/{RUN}").status_code == 403


@pytest.mark.parametrize("asked", REFUSED)
def test_what_cannot_be_asked_for_is_refused_before_the_orchestrator_is_asked(ask: Ask, asked: dict[str, str]):
    answer = ask("POST", PATH, json=asked, headers=KEY)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, next(iter(asked)))


@pytest.mark.parametrize("run", ["1", "..%2f..%2fdeployments", "x" * 36])
def test_what_can_be_no_run_is_not_asked_for(ask: Ask, run: str):
    assert ask("GET", f"{PATH}/{run}").status_code in (404, 422)
