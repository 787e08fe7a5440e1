"""F4: a PostgreSQL that is killed while a run publishes, the whole server or one of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from subprocess import DEVNULL
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from churn.errors import ChurnError
from store.claims import Claim
from store.publication import Published, Publisher
from store.tables import engine_for
from tests.faults.long.pids import kill_family
from tests.faults.long.runs import Chance, begun, chance_of
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.nights import Base, made_of, unit_of, write
from tests.faults.processes import wait_until

Result = TypeVar("Result")

TRIES = 30  # of each sort
PAUSES = (0.5, 1, 2, 4, 8, 16)  # seconds before each further try of a step, as a flow has them for its steps
UNCLAIMED = "not claimed"  # whose server dies while it claims a night has nothing to go on with
_OTHERS = sa.text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


def server_kills(ground: Ground) -> Iterator[Tally]:
    """Kills of the whole server, then of one of the processes that serve the run or its readers."""
    for name, kill in (("F4 server", _kill_server), ("F4 backend", _kill_backend)):
        with ground.on_postgres(name) as trials:
            _kill_many(trials, kill)
        yield trials.tally


def _kill_many(trials: Trials, kill: Callable[[Engine, Random], None]) -> None:
    chance = chance_of(trials)
    went_on = sum(_kill_one(trials, kill, chance) for _ in range(TRIES))
    trials.tally.remark = f"{went_on} runs went on by themselves and published"


def _kill_one(trials: Trials, kill: Callable[[Engine, Random], None], chance: Chance) -> bool:
    """Whether the run published, although its server died."""
    as_of, engine = trials.tonight(), engine_for(trials.base.database_url)
    run = begun(a_patient_run, trials.base, as_of)
    chance.wait()
    in_time = not run.told.poll()
    kill(engine, trials.random)
    wait_until(lambda: _answers(engine))
    said = run.outcome()
    if in_time:
        trials.tally.landed += trials.has_begun(as_of)
    else:
        chance.came_too_late()
    if not said.startswith(("published", UNCLAIMED)):
        trials.tally.broken.append(f"{as_of} was claimed and not published when the server was back: {said}")
    trials.settle(as_of)
    return in_time and said.startswith("published")


def a_patient_run(base: Base, as_of: date, told: Connection) -> None:
    """A night's run that tries each step again for a while, as the flow does."""
    publisher = base.publisher()
    told.send("begins")
    stage = UNCLAIMED
    try:
        claim = publisher.claim(unit_of(as_of), made_of("first"))
        assert isinstance(claim, Claim)
        stage = "claimed"
        write(publisher, claim)
        told.send(f"published {_all_steps(publisher, claim).run_id}")
    except Exception as failed:
        told.send(f"{stage}: {type(failed).__name__} {failed}")


def _all_steps(publisher: Publisher, claim: Claim) -> Published:
    _patiently(publisher.seal, claim)
    _patiently(publisher.load, claim)
    return _patiently(publisher.publish, claim)


def _patiently(step: Callable[[Claim], Result], claim: Claim) -> Result:
    for pause in PAUSES:
        try:
            return step(claim)
        except ChurnError:
            raise
        except Exception:  # each driver has its own error for a server that is gone
            time.sleep(pause)
    return step(claim)


def _kill_server(engine: Engine, random: Random) -> None:
    """Ends all of a server's processes at once, and starts it again with the settings that it had."""
    with engine.connect() as connection:
        folder = Path(connection.scalar(sa.text("SHOW data_directory")))
    try:
        kill_family(int((folder / "postmaster.pid").read_text().split()[0]))
    finally:
        _start_again(folder)


def _start_again(folder: Path) -> None:
    """What was killed may hold on to its memory for a moment, so that the first try can fail."""
    program = Path((folder / "postmaster.opts").read_text().split()[0])
    as_user = ["runuser", "-u", folder.owner(), "--"] if os.geteuid() == 0 else []
    restart: list[str | Path] = [
        program.parent / "pg_ctl",
        "--pgdata",
        folder,
        "--log",
        folder.parent / "log",
        "restart",
    ]
    wait_until(lambda: _succeeds([*as_user, *restart]))


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run(command, check=False, cwd="/", stdout=DEVNULL, stderr=DEVNULL).returncode == 0


def _kill_backend(engine: Engine, random: Random) -> None:
    """Ends one process of the server, which then ends all others, too, and recovers by itself."""
    for _ in range(100):
        with engine.connect() as connection:
            others = connection.scalars(_OTHERS).all()
        with suppress(ProcessLookupError, IndexError):
            return os.kill(random.choice(others), signal.SIGKILL)
    return None


def _answers(engine: Engine) -> bool:
    with suppress(sa.exc.DBAPIError), engine.connect():
        return True
    return False
