"""An operator's day against a server and a worker that stand, on PostgreSQL: deploy, clean up, answer drift.

Cleaning and retraining happen at once, since each is a process that imports Prefect. What becomes of a night whose
worker or whose server dies takes minutes, and is tried in the long run of faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from store.orchestration import declared_deployments
from store.settings import current_settings
from tests import postgres_server
from tests.end_to_end.standing import PATIENCE, Standing, declared_in_a_hurry, seen_within, standing_at
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT
from tests.mailbox import Mailbox, mailbox

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def letters() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture(scope="module")
def history(postgres_server_url: sa.URL) -> Iterator[str]:
    """The URL of the server's database."""
    with postgres_server.database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="module")
def standing(
    letters: Mailbox, history: str, source: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    """Server, worker and API of a home in which nothing happened yet."""
    folder = tmp_path_factory.mktemp("operators")
    others = {
        "CHURN_OPERATIONS": declared_in_a_hurry(folder / "operations"),
        "CHURN_NOTICE_MAIL": f"mailto://127.0.0.1:{letters.port}?from=night@example.com&to=team@example.com",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": history.replace("+psycopg", "+asyncpg"),
    }
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
class Cleaning:
    """A run of the cleaning, and two that it may find: one that ended long ago, and one that did just now."""

    run: str
    old: str
    young: str


@pytest.fixture(scope="module")
def cleaning(standing: Standing, history: str) -> Cleaning:
    """It is asked for, and drift is told, more than once."""
    old, young = (_ended_run(standing) for _ in range(2))
    _age(history, old, timedelta(days=2))
    cleaning = standing.trigger("cleaning", parameters={"keep_days": 1})
    for remedy in ("people", "retraining", "retraining", "retraining"):
        about = {"prefect.resource.id": "churn.telco", "prefect.resource.name": "telco", "churn.remedy": remedy}
        said = {"contract": "telco", "as_of": NEXT_NIGHT, "subject": "usage", "why": "it fell", "to_do": "Look."}
        standing.tell("churn.drift.detected", about, said)
    return Cleaning(cleaning, old, young)


def test_what_ended_long_ago_is_cleaned_from_postgresql_and_nothing_else(
    standing: Standing, cleaning: Cleaning
) -> None:
    assert standing.await_end(cleaning.run) == "COMPLETED"
    found = [standing.answer(f"/flow_runs/{run}").status_code for run in (cleaning.old, cleaning.young)]
    assert found == [404, 200]


def test_drift_starts_one_retraining_however_often_it_is_told_and_people_hear_of_it(
    standing: Standing, cleaning: Cleaning, letters: Mailbox
) -> None:
    started = ("PENDING", "RUNNING", "COMPLETED")
    seen_within(PATIENCE, lambda: standing.runs_of("retraining", *started))
    [run] = standing.runs_of("retraining", *started)
    assert run["parameters"]["contract"] == "telco"
    assert standing.await_end(run["id"]) == "COMPLETED"
    told = "Decisions of telco changed: usage"
    seen_within(PATIENCE, lambda: told in standing.notices())
    assert told in letters.subjects()


def _ended_run(standing: Standing) -> str:
    """A run that ended just now, which nobody has to wait for."""
    flow = standing.deployment("notice")["flow_id"]
    return str(standing.ask("/flow_runs/", {"flow_id": flow, "state": {"type": "COMPLETED"}})["id"])


def _age(history: str, run: str, age: timedelta) -> None:
    engine = sa.create_engine(history)
    with engine.begin() as connection:
        ended = sa.text("UPDATE flow_run SET end_time = :then WHERE id = CAST(:run AS uuid)")
        assert connection.execute(ended, {"then": datetime.now(UTC) - age, "run": run}).rowcount == 1
    engine.dispose()
