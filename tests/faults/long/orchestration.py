"""F15: the orchestrator's server, or its worker with the flow, killed while a flow publishes a night."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from churn.errors import AuditFailed
from store import lake
from store.partitions import fences_in
from store.publication import current_folder
from store.settings import library_environment, read_settings
from store.tables import IN_FLIGHT, TABLES_OF, engine_for, publication
from tests.command import churn
from tests.end_to_end.telecom import FIRST_NIGHT, simulated
from tests.faults.long.pids import kill_family
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground
from tests.faults.nights import CONTRACT, KIND, Base, days_later
from tests.faults.processes import start, wait_until
from tests.faults.readers import PAUSE, Reads

TRIES = 2  # of each sort
PATIENCE = 400  # seconds for a server or a flow to get somewhere on a busy machine
GRACE = 30  # seconds in which a flow whose server is gone may still come to its end
ROOT = Path(__file__).parents[3]
PREFECT = Path(sys.executable).with_name("prefect")
POOL = "churn"
KIND_OF_FLOW = "scoring"
SOURCE = "telco.db"

Running = subprocess.Popen[bytes]

_SHOWN = sa.text(
    "SELECT count(*), count(DISTINCT s.run_id), min(s.run_id), min(p.rows), min(p.fence)"
    " FROM score_current s JOIN publication p ON p.run_id = s.run_id"
)


def orchestrator_kills(ground: Ground) -> Iterator[Tally]:
    """Kills of the server, then of the worker with its flow, in the middle of a night's scoring."""
    home = ground.home("F15")
    base = Base(home, f"sqlite:///{home / 'data' / 'churn.db'}")
    simulated(f"sqlite:///{home / SOURCE}", truth=home / "truth")
    with orchestrator(home) as prefect:
        _command("night", FIRST_NIGHT, prefect)
        nights = _nights_after(date.fromisoformat(FIRST_NIGHT))
        for name, kill in (("F15 server", Orchestrator.kill_server), ("F15 worker", Orchestrator.kill_worker)):
            tally = Tally(name, "SQLite")
            with reading(base) as reads:
                flows = [_kill_one(prefect, base, next(nights), tally, kill) for _ in range(TRIES)]
            tally.saw(reads)
            tally.remark = f"the orchestrator calls the flows {', '.join(flows)}"
            yield tally
    shutil.rmtree(home, ignore_errors=True)


def _kill_one(
    prefect: Orchestrator, base: Base, as_of: date, tally: Tally, kill: Callable[[Orchestrator], None]
) -> str:
    """What the orchestrator calls the flow when the next run has published."""
    tally.tries += 1
    flow_run = prefect.start_scoring(as_of)
    wait_until(lambda: bool(_runs(base, as_of)), PATIENCE)
    tally.landed += _is_under_way(base, as_of)
    kill(prefect)
    with suppress(AssertionError):  # a flow without its server may end by itself, or not
        wait_until(lambda: not _is_under_way(base, as_of), GRACE)
    prefect.start_what_died()
    days_later(base.publisher())
    _command("score", str(as_of), prefect)
    _judge(tally, base, as_of)
    return prefect.state_of(flow_run)


def _judge(tally: Tally, base: Base, as_of: date) -> None:
    """The night is published, once, and shown, and nothing is left of the run that was killed."""
    runs, seen = _runs(base, as_of), _seen(base)
    if runs.count("published") != 1:
        tally.broken.append(f"{as_of}: its runs are {runs}")
    if base.publisher().published(CONTRACT, KIND, as_of) != base.publisher().current(CONTRACT, KIND):
        tally.lost.append(f"{as_of} is not the newest night")
    tally.partial += [seen.flaw] if seen.flaw else []
    tally.leftovers += sorted(_left(base) - set(tally.leftovers))


def _runs(base: Base, as_of: date) -> list[str]:
    """The states of the night's runs of scores, the oldest first."""
    run = publication.c
    states = sa.select(run.state).where(run.as_of == as_of, run.kind == KIND).order_by(run.fence)
    with base.publisher().engine.connect() as connection:
        return list(connection.scalars(states))


def _is_under_way(base: Base, as_of: date) -> bool:
    return not set(_runs(base, as_of)).isdisjoint(IN_FLIGHT)


def _left(base: Base) -> set[str]:
    """What belongs to no published run: staged folders, runs' folders, rows."""
    with base.publisher().engine.connect() as connection:
        shown = connection.execute(sa.select(publication).where(publication.c.state == "published")).all()
        fences = {run.fence for run in shown}
        rows = {f"{table.name} {fence}" for table in TABLES_OF[KIND] for fence in fences_in(connection, table) - fences}
    folders = {base.lake.root / run.folder for run in shown}
    found = {path.parent for path in (base.lake.root / "runs").rglob(lake.MANIFEST)}
    staged = set(base.lake.staging.iterdir()) if base.lake.staging.is_dir() else set()
    return rows | {path.relative_to(base.lake.root).as_posix() for path in (found - folders) | staged}


def _command(name: str, as_of: str, prefect: Orchestrator) -> None:
    """A flow by hand, in a process of its own."""
    done = churn(name, "--as-of", as_of, home=prefect.home, **prefect.settings)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _nights_after(first: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in count(1))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: the fence of the run that tables show, and what is wrong, if anything is."""

    fence: int
    flaw: str = ""


@contextmanager
def reading(base: Base) -> Iterator[Reads]:
    """Looks at tables and files while the block runs; the figures are there when it has ended."""
    reader, reads = start(read_on, base), Reads()
    try:
        yield reads
    finally:
        reads.add(reader.stop())


def read_on(base: Base, told: Connection) -> None:
    """The reader's process: a look that finds an older run than the one before has lost a night."""
    reads, newest = Reads(), 0
    while not told.poll(10 * PAUSE):
        reads.looks += 1
        try:
            seen = _seen(base)
        except sa.exc.OperationalError:
            reads.unanswered += 1
            continue
        reads.partial += [seen.flaw] if seen.flaw else []
        reads.lost += [f"run {seen.fence} after run {newest}"] if seen.fence < newest else []
        newest = seen.fence
    told.send(reads)


def _seen(base: Base) -> Seen:
    """Whether tables and files show one whole run each."""
    with engine_for(base.database_url).connect() as connection:
        rows, runs, run_id, wanted, fence = connection.execute(_SHOWN).one()
    try:
        folder = current_folder(base.lake, CONTRACT, KIND)
    except AuditFailed as refused:
        return Seen(fence, refused.what)
    wrong = [] if folder is None else lake.differences(lake.read_manifest(folder), folder)
    flaw = f"{rows} rows of {runs} runs, run {run_id} has {wanted}; files {wrong}"
    return Seen(fence, flaw if (rows, runs) != (wanted, 1) or wrong or folder is None else "")


@dataclass(slots=True)
class Orchestrator:
    """A server of Prefect, and a worker that runs what is asked for in processes of its own."""

    home: Path
    settings: dict[str, str]
    server: Running | None = None
    worker: Running | None = None

    def start_what_died(self) -> None:
        """Brings up the server, then the worker, where they are not there."""
        if not _lives(self.server):
            self.server = self._program("server", "start")
            wait_until(self._answers, PATIENCE)
        if not _lives(self.worker):
            self.worker = self._program("worker", "start", "--pool", POOL)

    def deploy(self) -> None:
        wait_until(lambda: self._answers(f"work_pools/{POOL}"), PATIENCE)  # which the first worker makes
        self._done("--no-prompt", "deploy", "--name", KIND_OF_FLOW)

    def start_scoring(self, as_of: date) -> str:
        """Asks for a night's scores and gives the flow run's id."""
        deployment = self._asked(f"deployments/name/{KIND_OF_FLOW}/{KIND_OF_FLOW}")
        wanted = {"parameters": {"as_of": str(as_of)}, "state": {"type": "SCHEDULED"}}
        return str(self._asked(f"deployments/{deployment['id']}/create_flow_run", wanted)["id"])

    def state_of(self, flow_run: str) -> str:
        return str(self._asked(f"flow_runs/{flow_run}")["state"]["name"])

    def kill_server(self) -> None:
        self.server = _ended(self.server)

    def kill_worker(self) -> None:
        self.worker = _ended(self.worker)

    def _answers(self, path: str = "health") -> bool:
        assert self.server is None or self.server.poll() is None, "the server ended, see server.log"
        with suppress(OSError):
            return bool(self._asked(path))
        return False

    def _asked(self, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.settings['PREFECT_API_URL']}/{path}", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def _done(self, *words: str) -> None:
        done = subprocess.run([PREFECT, *words], capture_output=True, text=True, check=False, **self._surroundings())
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def _program(self, *words: str) -> Running:
        """A program of its own session, so that Ctrl-C ends it through us and not before."""
        with (self.home / f"{words[0]}.log").open("a") as log:
            return subprocess.Popen(
                [PREFECT, *words], stdout=log, stderr=log, start_new_session=True, **self._surroundings()
            )

    def _surroundings(self) -> dict[str, Any]:
        return {"cwd": ROOT, "env": clean_environment() | self.settings}


@contextmanager
def orchestrator(home: Path) -> Iterator[Orchestrator]:
    """A server with one deployment, and its worker; whatever came of them is gone afterwards."""
    prefect = Orchestrator(home, _settings(home))
    Path(prefect.settings["PREFECT_HOME"]).mkdir(parents=True)  # or the server cannot open its database
    try:
        prefect.start_what_died()
        prefect.deploy()
        yield prefect
    finally:
        prefect.kill_worker()
        prefect.kill_server()


def _settings(home: Path) -> dict[str, str]:
    port = _free_port()
    ours = {"CHURN_HOME": str(home), "CHURN_SOURCE_URL": f"sqlite:///{home / SOURCE}", "CHURN_MODE": "development"}
    ours |= {"CHURN_BUCKETS": "4", "CHURN_CORES": "2", "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    return library_environment(read_settings(ours)) | ours | {"PREFECT_SERVER_API_PORT": str(port)}


def _lives(program: Running | None) -> bool:
    return program is not None and program.poll() is None


def _ended(program: Running | None) -> None:
    """Kills a program and all that came from it."""
    if program is not None:
        kill_family(program.pid)
        program.wait()


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "PREFECT_"))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
