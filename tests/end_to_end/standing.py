"""What `scripts/up` starts, as its operators see it: through the server's HTTP API, and by its processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml

from store.orchestration import AUTOMATIONS, DEPLOYMENTS
from store.publication import CURRENT
from tests.end_to_end.telecom import NEXT_NIGHT

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 180  # seconds, on a machine that has other things to do
BUCKETS = 4
BEAT = "prefect.flow-run.heartbeat"
SCORED = "drafts/*/bucket=*.parquet"
# What would make tests wait, and changes nothing that they are about; nights start no service of their own.
IN_A_HURRY = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
    "CHURN_PARITY": "off",
}
WITHIN = 90  # seconds, by automations.yaml
# What is looked after when it is silent, or does not begin: others would only be looked at while they live.
LOOKED_AFTER = {"prefect.resource.role": "deployment", "prefect.resource.name": ["nightly", "notice"]}


@dataclass(frozen=True, slots=True)
class Standing:
    """What `scripts/up` has started, seen through the server's HTTP API as the UI sees it."""

    home: Path
    environment: dict[str, str]
    server: httpx.Client

    def script(self, name: str) -> str:
        """What a script says, which has to end well."""
        # Into a file: who waits for the end of a pipe waits for all that the script leaves running.
        said = self.home / f"{name}.log"
        with said.open("w") as log:
            done = subprocess.run([ROOT / "scripts" / name], env=self.environment, stdout=log, stderr=log, check=False)
        assert done.returncode == 0, said.read_text()
        return said.read_text()

    def answer(self, path: str, body: Any = None) -> httpx.Response:
        """What the server answers to a body, or has under a path; while its SQLite is busy it is asked again."""
        method = "GET" if body is None else "POST"
        answer = self.server.request(method, path, json=body)
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(0.5)
            answer = self.server.request(method, path, json=body)
        return answer

    def ask(self, path: str, body: Any = None) -> Any:
        """The same, which has to go well."""
        answer = self.answer(path, body).raise_for_status()
        return answer.json() if answer.content else None

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.ask(f"/flow_runs/{run}"))

    def deployment(self, name: str) -> dict[str, Any]:
        [found] = self.ask("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        return dict(found)

    def trigger(self, name: str, **asked: Any) -> str:
        """Starts a run of a deployment, as the UI's button does."""
        return str(self.ask(f"/deployments/{self.deployment(name)['id']}/create_flow_run", asked)["id"])

    def runs_of(self, name: str, *states: str) -> list[dict[str, Any]]:
        chosen = {"flow_runs": {"state": {"type": {"any_": list(states)}}}, "deployments": {"name": {"any_": [name]}}}
        return list(self.ask("/flow_runs/filter", chosen))

    def state(self, run: str) -> str:
        return str(self.run(run)["state_type"])

    def await_end(self, run: str) -> str:
        seen_within(PATIENCE, lambda: self.state(run) in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"))
        return self.state(run)

    def scored(self) -> frozenset[tuple[str, int]]:
        """The scored buckets that wait for their publication, and when each was written."""
        with suppress(FileNotFoundError):  # it was published while we looked
            drafts = (self.home / "data/lake/snapshots").rglob(SCORED)
            return frozenset((draft.name, draft.stat().st_mtime_ns) for draft in drafts)
        return frozenset()

    def has_published(self) -> bool:
        with suppress(FileNotFoundError):  # something was removed while we looked
            return any((self.home / "data/lake").rglob(CURRENT))
        return False

    def notices(self) -> list[str]:
        """What operators were told, in the order in which they were."""
        book = self.home / "data/notices.jsonl"
        return [json.loads(line)["subject"] for line in book.read_text().splitlines()] if book.exists() else []

    def pid(self, name: str) -> int:
        return int((self.home / "data/run" / f"{name}.pid").read_text().split()[0])

    def tell(self, event: str, resource: dict[str, str], payload: dict[str, str], *related: dict[str, str]) -> None:
        """As a run tells the server what happened."""
        told = {"event": event, "resource": resource, "payload": payload, "related": related, "id": str(uuid4())}
        self.ask("/events", [told | {"occurred": datetime.now(UTC).isoformat()}])

    def beat(self, run: str, deployment: str) -> None:
        """As a run of the deployment does every 30 seconds."""
        whose = {"prefect.resource.id": f"prefect.deployment.{self.deployment(deployment)['id']}"}
        whose |= {"prefect.resource.role": "deployment", "prefect.resource.name": deployment}
        self.tell(BEAT, {"prefect.resource.id": f"prefect.flow-run.{run}"}, {}, whose)


def seen_within(seconds: float, happened: Callable[[], object], every: float = 1.0) -> None:
    """Waits for what the server, a worker or a run does in its own time."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every)


@contextmanager
def standing_at(home: Path, source: str, others: Mapping[str, str]) -> Iterator[Standing]:
    """Server, worker and API of a home; gone again at the end, with every run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "PREFECT_"))}
    ours = {"CHURN_HOME": str(home), "CHURN_MODE": "development", "CHURN_SOURCE_URL": source}
    port, sizes = free_port(), {"CHURN_BUCKETS": str(BUCKETS), "CHURN_CORES": "2"}
    ports = {"PREFECT_PORT": port, "CHURN_API_PORT": free_port()}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=PATIENCE) as client:
        stand = Standing(home, inherited | ours | sizes | ports | IN_A_HURRY | dict(others), client)
        try:
            assert f"http://127.0.0.1:{port}" in stand.script("up")
            yield stand
        finally:
            stand.script("down")


def declared_in_a_hurry(folder: Path) -> str:
    """What the repository declares, but that a run is looked after when it was silent for 10 seconds, and then for 3.

    A run that lives beats every 30, so that a night is taken for silent now and then. A retraining is of a day that the
    source covers, small, and of a kind that has no terms to draw.
    """
    folder.mkdir(parents=True)
    deployments, automations = (yaml.safe_load((ROOT / name).read_text()) for name in (DEPLOYMENTS, AUTOMATIONS))
    hurried = [one["trigger"] for one in automations["automations"] if one["trigger"]["within"] == WITHIN]
    assert len(hurried) == 2
    for trigger in hurried:
        trigger |= {"within": 10, "match_related": LOOKED_AFTER}
    small = {"as_of": NEXT_NIGHT, "per_segment": False, "estimator": "logistic_regression"}
    for name, parameters in {"silence": {"patience": 3}, "retraining": small}.items():
        [deployment] = [one for one in deployments["deployments"] if one["name"] == name]
        deployment["parameters"] = deployment.get("parameters", {}) | parameters
    (folder / AUTOMATIONS).write_text(yaml.safe_dump(automations))
    (folder / DEPLOYMENTS).write_text(yaml.safe_dump(deployments))
    return str(folder)


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])
