"""The service asks a real orchestrator for the retraining deployment, with a plain client and no Prefect in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from store.settings import Settings
from tests.api.service import TINY, Ask, promoted, running

PATH = "/api/v1/training-runs"
PATIENCE = 60.0  # seconds


@pytest.fixture
def server(orchestrator: None, monkeypatch: pytest.MonkeyPatch) -> str:
    from prefect.settings import PREFECT_API_URL

    url = str(PREFECT_API_URL.value())
    monkeypatch.setenv("PREFECT_API_URL", url)
    return url


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    promoted(settings)
    with running(create_app(settings, TINY.name)) as asked:
        yield asked


def deploy(server: str, name: str = "retraining") -> str:
    """The deployment as prefect.yaml has it, with the form that its flow's parameters make."""
    from flows.retraining import retraining

    flow = posted(f"{server}/flows/", {"name": retraining.name})
    deployment = {
        "name": name,
        "flow_id": flow["id"],
        "parameters": {"contract": "telco"},
        "parameter_openapi_schema": retraining.parameters.model_dump(),
        "enforce_parameter_schema": True,
    }
    return str(posted(f"{server}/deployments/", deployment)["id"])


def posted(url: str, content: dict[str, Any]) -> Any:
    """What the server answers, which says 503 while its own services hold its SQLite: its clients ask again, too."""
    until = time.monotonic() + PATIENCE
    while (answer := httpx.post(url, json=content)).status_code == 503 and time.monotonic() < until:
        time.sleep(1)
    return answer.raise_for_status().json()


def test_a_training_run_is_asked_for_once_under_its_key_and_is_told_of(server: str, ask: Ask):
    key = {"idempotency-key": "train-tonight"}
    before = ask("POST", PATH, json={}, headers=key)
    assert (before.status_code, "does not have that deployment" in before.text) == (503, True)

    deploy(server)
    order = {"estimator": "logistic_regression", "per_segment": False}
    asked = ask("POST", PATH, json=order, headers=key)
    assert asked.status_code == 202, asked.text
    run = asked.json()
    assert (run["state"], run["started_at"], asked.headers["location"]) == ("Scheduled", None, f"{PATH}/{run['run']}")
    there = httpx.get(f"{server}/flow_runs/{run['run']}").json()
    assert there["parameters"] == {
        "contract": TINY.name,
        "promote": "ask",
        "estimator": "logistic_regression",
        "per_segment": False,
    }
    assert sorted(there["tags"]) == ["asked by tests", "by the service"]
    assert ask("POST", PATH, json=order, headers=key).json()["run"] == run["run"]
    assert ask("POST", PATH, json={}, headers=key).status_code == 409

    httpx.post(f"{server}/flow_runs/{run['run']}/set_state", json={"state": {"type": "CRASHED", "message": "No room."}})
    told = ask("GET", f"{PATH}/{run['run']}").json()
    assert (told["state"], told["says"]) == ("Crashed", "No room.")


def test_a_run_of_another_deployment_is_none_of_training(server: str, ask: Ask):
    deploy(server)
    other = deploy(server, "another")
    run = httpx.post(f"{server}/deployments/{other}/create_flow_run", json={}).raise_for_status().json()["id"]
    for strange in (run, "00000000-0000-0000-0000-000000000000"):
        assert ask("GET", f"{PATH}/{strange}").status_code == 404
