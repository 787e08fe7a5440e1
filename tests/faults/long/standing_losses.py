"""F15, as operators meet it: what `scripts/up` has started loses its worker, then its server, in a night's middle."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tests import postgres_server
from tests.end_to_end.standing import BUCKETS, PATIENCE, Standing, declared_in_a_hurry, seen_within, standing_at
from tests.end_to_end.telecom import FIRST_NIGHT, simulated
from tests.faults.long.orchestration import reading
from tests.faults.long.pids import kill_family
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground
from tests.faults.nights import Base, days_later

SECOND_NIGHT = str(date.fromisoformat(FIRST_NIGHT) + timedelta(days=1))
PAGES = {"night", "data-quality-snapshot", "data-quality-scores", "outreach-top"}
WAITS = "Another attempt will be made in"  # what the worker's log says of a run whose server is away


def standing_losses(ground: Ground) -> Iterator[Tally]:
    """One night loses its worker and the next one the server, which has its history in PostgreSQL."""
    home = ground.home("F15")
    base = Base(home, f"sqlite:///{home / 'data' / 'churn.db'}")
    source = f"sqlite:///{home / 'telco.db'}"
    simulated(source, truth=home / "truth")
    with postgres_server.database(ground.server) as history:
        kept = history.replace("+psycopg", "+asyncpg")
        others = {
            "CHURN_OPERATIONS": declared_in_a_hurry(home / "operations"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": kept,
        }
        with standing_at(home, source, others) as standing:
            yield _without_its_worker(standing, base)
            yield _without_its_server(standing, base)
    shutil.rmtree(home, ignore_errors=True)


def _without_its_worker(standing: Standing, base: Base) -> Tally:
    """Nobody starts the night again, and the pages that people look at are those of one that was left alone."""
    tally = Tally("F15 machine", "SQLite", tries=1)
    loss = _lost_machine(standing, base)
    tally.landed = int(len(loss.scored) == BUCKETS)
    written = loss.scored
    while not standing.has_published():
        written |= standing.scored()
    night, taken = standing.await_end(loss.night), standing.await_end(loss.pending)
    pages = standing.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [loss.night]}}})
    seen_within(PATIENCE, lambda: "nightly crashed" in standing.notices())
    tally.broken += _untrue(
        {
            "no bucket was scored twice": written == loss.scored,
            "the night was taken over and ended well": night == "COMPLETED",
            "it has its name": standing.run(loss.night)["name"] == f"telco as of {FIRST_NIGHT}, revision 1",
            "it has its pages": {page["key"] for page in pages} >= PAGES,
            "it left no drafts": standing.scored() == frozenset(),
            "what the dead worker had only taken was run, once": taken == "COMPLETED"
            and standing.notices().count("Only taken") == 1,
        }
    )
    return tally


def _without_its_server(standing: Standing, base: Base) -> Tally:
    """The night asks for it after 2, 4, 8 and 16 seconds, and so on for 68 minutes."""
    tally = Tally("F15 server away", "SQLite", tries=1)
    with reading(base) as reads:
        night = standing.trigger("nightly", parameters={"as_of": SECOND_NIGHT})
        seen_within(PATIENCE, lambda: len(standing.scored()) == BUCKETS, every=0.02)
        place = standing.run(night)["state"]["state_details"]["deployment_concurrency_lease_id"]
        _kill(standing, "server")
        tally.landed = 1
        seen_within(PATIENCE, lambda: WAITS in (standing.home / "data/run/worker.log").read_text(), every=0.1)
        started = standing.script("up")
        # What the run asks every 225 seconds: where the answer is no, it ends.
        renewed = standing.answer(f"/v2/concurrency_limits/leases/{place}/renew", {"lease_duration": 300})
        ended = standing.await_end(night)
    tally.saw(reads)
    tally.broken += _untrue(
        {
            "the server was started": "server started" in started,
            "the night kept its place": renewed.status_code == 204,
            "the night ended well": ended == "COMPLETED",
            "it has its name": standing.run(night)["name"] == f"telco as of {SECOND_NIGHT}, revision 1",
        }
    )
    return tally


@dataclass(frozen=True, slots=True)
class Loss:
    """What a machine that died took with it: a night in its middle, and a run that its worker had only taken."""

    night: str
    scored: frozenset[tuple[str, int]]  # the night's buckets that were finished, and when
    pending: str


def _lost_machine(standing: Standing, base: Base) -> Loss:
    """The first night dies with its worker when every bucket is scored; at the end a worker is there again."""
    night = standing.trigger("nightly", parameters={"contract": "telco", "as_of": FIRST_NIGHT})
    seen_within(PATIENCE, lambda: len(standing.scored()) == BUCKETS, every=0.02)
    os.kill(int(standing.run(night)["infrastructure_pid"]), signal.SIGSTOP)
    pending = standing.trigger("notice", parameters={"subject": "Only taken"})
    seen_within(PATIENCE, lambda: standing.state(pending) == "PENDING", every=0.1)
    lost = Loss(night, standing.scored(), pending)
    standing.beat(night, "nightly")  # its last, for which nobody need wait
    _kill(standing, "worker")
    days_later(base.publisher())
    assert "worker started" in standing.script("up")
    return lost


def _kill(standing: Standing, name: str) -> None:
    """Ends what `scripts/up` has started; it is no process any more afterwards."""
    pid = standing.pid(name)
    kill_family(pid)
    seen_within(PATIENCE, lambda: not Path(f"/proc/{pid}").exists(), every=0.1)


def _untrue(promises: Mapping[str, bool]) -> list[str]:
    return [f"not so: {promise}" for promise, kept in promises.items() if not kept]
