"""An operator's day against a server and a worker that stand: deploy, run a night, lose a worker in it, answer drift.

What depends on nothing else happens at once, since each run is a process that imports Prefect: while the night waits
to be taken over, drift has its retraining.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from store.orchestration import AUTOMATIONS, DEPLOYMENTS, declared_deployments
from store.settings import current_settings
from store.tables import engine_for, publication
from tests.end_to_end.nights import living_in
from tests.end_to_end.standing import BUCKETS, PATIENCE, ROOT, Standing, seen_within, standing_at
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT
from tests.faults.long.pids import kill_family
from tests.mailbox import Mailbox, mailbox

WITHIN = 90  # seconds, by automations.yaml
# What is looked after when it is silent, or does not begin: others would only be looked at while they live.
LOOKED_AFTER = {"prefect.resource.role": "deployment", "prefect.resource.name": ["nightly", "notice"]}


def declared_in_a_hurry(folder: Path) -> Path:
    """What the repository declares, but that a run is looked after when it was silent for 10 seconds, and then for 3.

    A run that lives beats every 30, so that a night is taken for silent now and then. A retraining is of a day that the
    source covers, and small.
    """
    folder.mkdir(parents=True)
    deployments, automations = (yaml.safe_load((ROOT / name).read_text()) for name in (DEPLOYMENTS, AUTOMATIONS))
    hurried = [one["trigger"] for one in automations["automations"] if one["trigger"]["within"] == WITHIN]
    assert len(hurried) == 2
    for trigger in hurried:
        trigger |= {"within": 10, "match_related": LOOKED_AFTER}
    small = {"as_of": NEXT_NIGHT, "per_segment": False}
    for name, parameters in {"silence": {"patience": 3}, "retraining": small}.items():
        [deployment] = [one for one in deployments["deployments"] if one["name"] == name]
        deployment["parameters"] = deployment.get("parameters", {}) | parameters
    (folder / AUTOMATIONS).write_text(yaml.safe_dump(automations))
    (folder / DEPLOYMENTS).write_text(yaml.safe_dump(deployments))
    return folder


@pytest.fixture(scope="module")
def letters() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture(scope="module")
def standing(letters: Mailbox, source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Server, worker and API of a home in which nothing happened yet."""
    folder = tmp_path_factory.mktemp("operators")
    mail = f"mailto://127.0.0.1:{letters.port}?from=night@example.com&to=team@example.com"
    others = {"CHURN_OPERATIONS": str(declared_in_a_hurry(folder / "operations")), "CHURN_NOTICE_MAIL": mail}
    (folder / "home").mkdir()
    with standing_at(folder / "home", source, others) as stand:
        yield stand


def test_every_deployment_stands_and_one_with_a_schedule_gets_its_scheduled_run(standing: Standing) -> None:
    """Under some versions of SQLAlchemy the server looks healthy and schedules nothing."""
    deployed = standing.ask("/deployments/filter", {})
    assert {one["name"] for one in deployed} == {one["name"] for one in declared_deployments()}
    seen_within(PATIENCE, lambda: standing.runs_of("nightly", "SCHEDULED"))
    due = datetime.fromisoformat(standing.runs_of("nightly", "SCHEDULED")[0]["expected_start_time"])
    assert due.astimezone(current_settings().zone).hour == 4


@pytest.mark.parametrize("asked", [{"as_of": "yesterday"}, {"asof": FIRST_NIGHT}], ids=str)
def test_parameters_that_cannot_be_are_refused_before_anything_starts(
    standing: Standing, asked: dict[str, str]
) -> None:
    run = f"/deployments/{standing.deployment('nightly')['id']}/create_flow_run"
    assert standing.answer(run, {"parameters": asked}).status_code == 409


@dataclass(frozen=True, slots=True)
class Loss:
    """What a machine that died took with it: a night in its middle, and a run that its worker had only taken."""

    night: str
    scored: frozenset[tuple[str, int]]  # the night's buckets that were finished, and when
    pending: str


@pytest.fixture(scope="module")
def loss(standing: Standing) -> Loss:
    """The first night is asked for as the UI does, and dies with its worker when every bucket is scored.

    At the end a worker is there again, and drift was told, more than once.
    """
    night = standing.trigger("nightly", parameters={"contract": "telco", "as_of": FIRST_NIGHT})
    seen_within(PATIENCE, lambda: len(standing.scored()) == BUCKETS, every=0.02)
    os.kill(int(standing.run(night)["infrastructure_pid"]), signal.SIGSTOP)
    pending = standing.trigger("notice", parameters={"subject": "Only taken"})
    seen_within(PATIENCE, lambda: standing.state(pending) == "PENDING", every=0.1)
    lost = Loss(night, standing.scored(), pending)
    standing.beat(night, "nightly")  # its last, for which a test need not wait
    kill_family(standing.pid("worker"))
    _let_leases_run_out(standing.home)
    for remedy in ("people", "retraining", "retraining", "retraining"):
        about = {"prefect.resource.id": "churn.telco", "prefect.resource.name": "telco", "churn.remedy": remedy}
        said = {"contract": "telco", "as_of": NEXT_NIGHT, "subject": "usage", "why": "it fell", "to_do": "Look."}
        standing.tell("churn.drift.detected", about, said)
    assert "worker started" in standing.script("up")
    return lost


def test_a_night_that_died_with_its_worker_is_taken_over_and_does_nothing_twice(standing: Standing, loss: Loss) -> None:
    """Nobody starts it again, and the pages that people look at are those of a night that was left alone."""
    written = loss.scored

    def has_published() -> bool:
        nonlocal written
        written |= standing.scored()
        return standing.has_published()

    seen_within(PATIENCE, has_published, every=0.05)
    assert len(loss.scored) == BUCKETS
    assert written == loss.scored
    assert standing.await_end(loss.night) == "COMPLETED"
    assert standing.scored() == frozenset()
    pages = standing.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [loss.night]}}})
    assert {"night", "data-quality-snapshot", "data-quality-scores", "outreach-top"} <= {page["key"] for page in pages}
    assert standing.run(loss.night)["name"] == f"telco as of {FIRST_NIGHT}, revision 1"
    seen_within(PATIENCE, lambda: "nightly crashed" in standing.notices())


def test_a_run_that_a_dead_worker_had_only_taken_is_run_by_the_next(standing: Standing, loss: Loss) -> None:
    assert standing.await_end(loss.pending) == "COMPLETED"
    assert standing.notices().count("Only taken") == 1


def test_drift_starts_one_retraining_however_often_it_is_told_and_people_hear_of_it(
    standing: Standing, loss: Loss, letters: Mailbox
) -> None:
    started = ("PENDING", "RUNNING", "COMPLETED")
    seen_within(PATIENCE, lambda: standing.runs_of("retraining", *started))
    [run] = standing.runs_of("retraining", *started)
    assert run["parameters"]["contract"] == "telco"
    assert standing.await_end(run["id"]) == "COMPLETED"
    told = "Decisions of telco changed: usage"
    seen_within(PATIENCE, lambda: told in standing.notices())
    assert told in letters.subjects()


def _let_leases_run_out(home: Path) -> None:
    """As ten minutes would."""
    with living_in(home), engine_for(current_settings().database_url).begin() as connection:
        gone = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
        connection.execute(sa.update(publication).values(lease_until=gone))
