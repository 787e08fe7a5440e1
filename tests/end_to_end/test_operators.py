"""An operator's day against a server and a worker that stand: deploy, run a night, answer drift, lose a worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from store.orchestration import AUTOMATIONS, DEPLOYMENTS, declared_deployments
from store.settings import current_settings
from store.tables import engine_for, publication
from tests.end_to_end.nights import living_in
from tests.end_to_end.telecom import NEXT_NIGHT

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120  # seconds, on a machine that has other things to do
SCORED = "drafts/*/bucket=*.parquet"


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

    def ask(self, path: str, body: Any) -> Any:
        answer = self.server.post(path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

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
        return str(self.server.get(f"/flow_runs/{run}").json()["state_type"])

    def await_end(self, run: str) -> str:
        seen_within(PATIENCE, lambda: self.state(run) in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"))
        return self.state(run)

    def scored(self) -> frozenset[tuple[str, int]]:
        """The scored buckets that wait for their publication, and when each was written."""
        with suppress(FileNotFoundError):  # it was published while we looked
            drafts = (self.home / "data/lake/snapshots").rglob(SCORED)
            return frozenset((draft.name, draft.stat().st_mtime_ns) for draft in drafts)
        return frozenset()

    def notices(self) -> list[str]:
        """What operators were told, in the order in which they were."""
        book = self.home / "data/notices.jsonl"
        return [json.loads(line)["subject"] for line in book.read_text().splitlines()] if book.exists() else []

    def pid(self, name: str) -> int:
        return int((self.home / "data/run" / f"{name}.pid").read_text().split()[0])


def seen_within(seconds: float, happened: Callable[[], object], every: float = 0.5) -> None:
    """Waits for what the server, a worker or a run does in its own time."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every)


def declared_in_a_hurry(folder: Path) -> Path:
    """What the repository declares, but that a run is looked after when it was silent for 20 seconds, and then for 5.

    A run that lives beats every 30, so that those of all tests are taken for silent now and then. A retraining is of a
    day that the source covers.
    """
    folder.mkdir()
    deployments, automations = ((ROOT / name).read_text() for name in (DEPLOYMENTS, AUTOMATIONS))
    assert "within: 90\n" in automations
    (folder / AUTOMATIONS).write_text(automations.replace("within: 90\n", "within: 20\n"))
    silence = "entrypoint: flows.silence.silence\n"
    deployments = deployments.replace(silence, f"{silence}    parameters: {{patience: 5}}\n")
    (folder / DEPLOYMENTS).write_text(deployments.replace("promote: auto", f'promote: auto, as_of: "{NEXT_NIGHT}"'))
    return folder


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture(scope="module")
def standing(published_home: Path, source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Server, worker and API of a home in which one night is published; gone again at the end, with every run."""
    home = tmp_path_factory.mktemp("operators") / "home"
    shutil.copytree(published_home, home)
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "PREFECT_"))}
    ours = {"CHURN_HOME": str(home), "CHURN_MODE": "development", "CHURN_SOURCE_URL": source, "CHURN_BUCKETS": "4"}
    ours |= {"CHURN_OPERATIONS": str(declared_in_a_hurry(home / "operations")), "PREFECT_WORKER_QUERY_SECONDS": "2"}
    ports = {"PREFECT_PORT": port, "CHURN_API_PORT": free_port()}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=30) as client:
        stand = Standing(home, inherited | ours | ports, client)
        try:
            assert f"http://127.0.0.1:{port}" in stand.script("up")
            yield stand
        finally:
            stand.script("down")


def test_every_deployment_stands_and_one_with_a_schedule_gets_its_scheduled_run(standing: Standing) -> None:
    """Under some versions of SQLAlchemy the server looks healthy and schedules nothing."""
    deployed = standing.ask("/deployments/filter", {})
    assert {one["name"] for one in deployed} == {one["name"] for one in declared_deployments()}
    seen_within(PATIENCE, lambda: standing.runs_of("nightly", "SCHEDULED"))
    due = datetime.fromisoformat(standing.runs_of("nightly", "SCHEDULED")[0]["expected_start_time"])
    assert due.astimezone(current_settings().zone).hour == 4


def test_a_night_asked_for_as_the_ui_does_ends_with_the_pages_that_people_look_at(standing: Standing) -> None:
    run = standing.trigger("nightly", parameters={"contract": "telco", "as_of": NEXT_NIGHT})
    assert standing.await_end(run) == "COMPLETED"
    pages = standing.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    assert {"night", "data-quality-snapshot", "data-quality-scores", "outreach-top"} <= {page["key"] for page in pages}
    assert standing.server.get(f"/flow_runs/{run}").json()["name"] == f"telco as of {NEXT_NIGHT}, revision 1"


def test_parameters_that_cannot_be_are_refused_before_anything_starts(standing: Standing) -> None:
    asked = {"parameters": {"as_of": "yesterday"}}
    refused = standing.server.post(f"/deployments/{standing.deployment('nightly')['id']}/create_flow_run", json=asked)
    assert refused.status_code == 409


def test_drift_starts_one_retraining_however_often_it_is_told_and_people_hear_of_it(standing: Standing) -> None:
    for remedy in ("people", "retraining", "retraining", "retraining"):
        about = {"prefect.resource.id": "churn.telco", "prefect.resource.name": "telco", "churn.remedy": remedy}
        said = {"contract": "telco", "as_of": NEXT_NIGHT, "subject": "usage", "why": "it fell", "to_do": "Look."}
        event = {"event": "churn.drift.detected", "resource": about, "payload": said, "id": str(uuid4())}
        standing.ask("/events", [event | {"occurred": datetime.now(UTC).isoformat()}])
    started = ("PENDING", "RUNNING", "COMPLETED")
    seen_within(PATIENCE, lambda: standing.runs_of("retraining", *started))
    [run] = standing.runs_of("retraining", *started)
    assert run["parameters"]["contract"] == "telco"
    assert standing.await_end(run["id"]) == "COMPLETED"
    assert "Decisions of telco changed: usage" in standing.notices()


def test_a_night_that_dies_with_its_worker_is_taken_over_and_does_nothing_twice(standing: Standing) -> None:
    """Worker and run are killed when every bucket is scored, as by a machine that dies; nobody starts the run again."""
    run = standing.trigger("nightly", parameters={"as_of": NEXT_NIGHT, "force": True})
    seen_within(PATIENCE, lambda: len(standing.scored()) == 4, every=0.02)
    for pid in (*_runs_below(standing.pid("worker")), standing.pid("worker")):
        os.kill(pid, signal.SIGKILL)
    written = scored = standing.scored()
    assert len(scored) == 4
    _let_leases_run_out(standing.home)
    assert "worker started" in standing.script("up")

    def has_ended() -> bool:
        nonlocal written
        written |= standing.scored()
        return standing.state(run) == "COMPLETED"

    seen_within(PATIENCE, has_ended, every=0.1)
    assert written == scored
    assert standing.scored() == frozenset()
    assert standing.server.get(f"/flow_runs/{run}").json()["name"].startswith(f"telco as of {NEXT_NIGHT}, revision ")
    assert "nightly crashed" in standing.notices()


def _runs_below(worker: int) -> list[int]:
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    return [int(pid) for pid in children]


def _let_leases_run_out(home: Path) -> None:
    """As ten minutes would."""
    with living_in(home), engine_for(current_settings().database_url).begin() as connection:
        gone = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
        connection.execute(sa.update(publication).values(lease_until=gone))
