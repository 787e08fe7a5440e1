"""What becomes of a night while Prefect's server is away; the server keeps its history in PostgreSQL here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import postgres_server
from tests.end_to_end.standing import BUCKETS, PATIENCE, Standing, seen_within, standing_at
from tests.end_to_end.telecom import NEXT_NIGHT
from tests.faults.long.pids import kill_family

WAITS = "Another attempt will be made in"

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def history(postgres_server_url: sa.URL) -> Iterator[str]:
    """The URL of the server's database."""
    with postgres_server.database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="module")
def standing(
    published_home: Path, source: str, history: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    """What stands, of a home in which one night is published."""
    home = tmp_path_factory.mktemp("away") / "home"
    shutil.copytree(published_home, home)
    kept = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": history.replace("+psycopg", "+asyncpg")}
    with standing_at(home, source, kept) as stand:
        yield stand


def test_a_night_waits_for_a_server_that_is_away_says_so_and_keeps_its_place(standing: Standing) -> None:
    """It asks after 2, 4, 8 and 16 seconds, and so on for 68 minutes."""
    night = standing.trigger("nightly", parameters={"as_of": NEXT_NIGHT})
    seen_within(PATIENCE, lambda: len(standing.scored()) == BUCKETS, every=0.02)
    place = standing.run(night)["state"]["state_details"]["deployment_concurrency_lease_id"]
    kill_family(standing.pid("server"))
    seen_within(PATIENCE, lambda: WAITS in (standing.home / "data/run/worker.log").read_text(), every=0.1)
    assert "server started" in standing.script("up")
    # What the run asks every 225 seconds: where the answer is no, it ends.
    renewed = standing.answer(f"/v2/concurrency_limits/leases/{place}/renew", {"lease_duration": 300})
    assert renewed.status_code == 204
    assert standing.await_end(night) == "COMPLETED"
    assert standing.run(night)["name"] == f"telco as of {NEXT_NIGHT}, revision 1"


def test_what_ended_long_ago_is_cleaned_from_postgresql_and_nothing_else(standing: Standing, history: str) -> None:
    old, young = (_ended_run(standing) for _ in range(2))
    _age(history, old, timedelta(days=2))
    cleaning = standing.trigger("cleaning", parameters={"keep_days": 1})
    assert standing.await_end(cleaning) == "COMPLETED"
    assert [standing.answer(f"/flow_runs/{run}").status_code for run in (old, young)] == [404, 200]


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
