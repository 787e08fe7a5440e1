"""Asks Prefect's server to run a deployment, and how such a run is, over its HTTP API with a plain client.

The service has no Prefect in it: that would cost each worker 2 seconds and 85 MB.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from churn.errors import OrchestratorUnreachable, RequestError
from store.idempotency import key_used

if TYPE_CHECKING:
    import httpx

SECONDS = 3.0  # each of two questions, of the 10 s that such a request may take
RETRAINING = "retraining/retraining"  # its flow and its name, see prefect.yaml
URL, AUTH = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"
START_IT = f"Start the server and a worker, and set {URL}; then ask again."


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A run as the server has it; `state` is its word, such as Scheduled, Running or Completed."""

    run: str
    name: str
    state: str
    says: str
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Prefect's server, by the address of its API."""

    url: str
    auth: str = field(default="", repr=False)

    def ask_for(self, deployment: str, parameters: Mapping[str, Any], *, key: str, tags: list[str]) -> FlowRun:
        """A new run of the deployment, or the one that was asked for under this key before.

        OrchestratorUnreachable where the server is away or knows no such deployment, RequestError where it refuses the
        parameters, KeyUsed where the run of this key has others.
        """
        known = self._asked("GET", f"/deployments/name/{deployment}")
        order = {"parameters": dict(parameters), "idempotency_key": key, "tags": tags}
        run = self._asked("POST", f"/deployments/{known['id']}/create_flow_run", order)
        if any(run["parameters"].get(name) != value for name, value in parameters.items()):
            raise key_used()
        return _flow_run(run)

    def run_of(self, deployment: str, run: str) -> FlowRun | None:
        """A run of that deployment; None where there is none of that name."""
        known = self._asked("GET", f"/deployments/name/{deployment}")
        found = self._asked("GET", f"/flow_runs/{run}", or_none=True)
        return _flow_run(found) if found and found.get("deployment_id") == known["id"] else None

    def _asked(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, *, or_none: bool = False
    ) -> dict[str, Any]:
        """What the server answers; nothing where it has no such thing and that may be."""
        import httpx  # 20 MB that no look-up needs

        if not self.url:
            raise _away("nobody says where the orchestrator is")
        try:
            answer = httpx.request(
                method, self.url.rstrip("/") + path, json=content, headers=self._headers(), timeout=SECONDS
            )
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            raise _away(f"the orchestrator does not answer: {type(failed).__name__}") from None
        if answer.status_code == HTTPStatus.NOT_FOUND and or_none:
            return {}
        _require_success(answer)
        return _content(answer)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Basic {b64encode(self.auth.encode()).decode()}"} if self.auth else {}


def read_orchestrator(env: Mapping[str, str]) -> Orchestrator:
    """The server that `env` names; one without an address never answers."""
    return Orchestrator(env.get(URL, ""), env.get(AUTH, ""))


def current_orchestrator() -> Orchestrator:
    """The server that this process's environment names."""
    return read_orchestrator(os.environ)


def _require_success(answer: httpx.Response) -> None:
    if answer.status_code in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise RequestError("the deployment does not take these parameters", to_do="Ask as its form in the UI does.")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise _away("the orchestrator does not have that deployment")
    if not answer.is_success:
        raise _away(f"the orchestrator answered {answer.status_code}")


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        content: dict[str, Any] = answer.json()
    except ValueError:
        raise _away("what answers there is no Prefect API, such as http://127.0.0.1:4200/api") from None
    return content


def _away(what: str) -> OrchestratorUnreachable:
    return OrchestratorUnreachable(what, where=URL, to_do=START_IT)


def _flow_run(answered: Mapping[str, Any]) -> FlowRun:
    state = answered.get("state") or {}
    moments = (answered.get(name) for name in ("created", "start_time", "end_time"))
    created, started, ended = (datetime.fromisoformat(moment) if moment else None for moment in moments)
    return FlowRun(
        run=str(answered["id"]),
        name=str(answered["name"]),
        state=str(state.get("name") or "Unknown"),
        says=str(state.get("message") or ""),
        created_at=created,
        started_at=started,
        ended_at=ended,
    )
