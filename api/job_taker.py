"""Sees that jobs are worked on: each worker of the service looks for what is due, and starts a process for it."""

from __future__ import annotations

import logging
import threading
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from sqlalchemy.exc import SQLAlchemyError

from store.jobs import Job, open_jobs
from store.service_database import service_engine
from store.settings import Settings

# A look takes ten milliseconds of processor, in which answers wait; twice a second that was one in a hundred of them.
LOOK_SECONDS = 3.0
SWEEP_SECONDS = 3_600.0
LAST_CHUNK_SECONDS = 5.0  # for a process to give its job back when the service ends

log = logging.getLogger(__name__)


class Taker:
    """A thread that starts one process at a time; what that was working on when it died is taken up by the next."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = service_engine(settings.database_url)
        self._jobs = open_jobs(settings, self._engine)
        self._ends = threading.Event()
        self._process: BaseProcess | None = None
        self._swept: float | None = None
        self._thread = threading.Thread(target=self._look_again_and_again, daemon=True, name="jobs")

    def begin(self) -> None:
        """Begins to look."""
        self._thread.start()

    def end(self) -> None:
        """Lets the process finish its chunk and give its job back."""
        self._ends.set()
        self._thread.join(LOOK_SECONDS + LAST_CHUNK_SECONDS)
        if self._process:
            self._process.terminate()
            self._process.join(LAST_CHUNK_SECONDS)
            self._process.kill()  # nobody waits longer than this; its lease will lapse
        self._engine.dispose()

    def _look_again_and_again(self) -> None:
        while not self._ends.wait(LOOK_SECONDS):
            if self._swept is None or time.monotonic() - self._swept > SWEEP_SECONDS:
                self._sweep()
            if self._process is None or not self._process.is_alive():
                self._look()

    def _sweep(self) -> None:
        """Clears away what was kept for a week, also where nobody asks for another job."""
        self._swept = time.monotonic()
        try:
            self._jobs.forget_old()
        except (SQLAlchemyError, OSError) as failed:
            log.warning("what jobs left is not cleared away: %s", type(failed).__name__)

    def _look(self) -> None:
        """The job is taken before a process is started, since each worker of the service would start one for it."""
        try:
            held = self._jobs.claim()
            if held or self._jobs.anybody_to_tell():
                self._process = _begun(self._settings, held)
        except SQLAlchemyError:
            return  # the standing of the service tells of it; jobs wait meanwhile
        except OSError as failed:
            log.warning("no process can be started for a job: %s", failed)  # its lease will lapse


def _begun(settings: Settings, held: Job | None) -> BaseProcess:
    # Spawned, since a forked one would have this one's connections.
    process = get_context("spawn").Process(target=_work, args=(settings, held), daemon=True, name="jobs")
    process.start()
    return process


def _work(settings: Settings, held: Job | None) -> None:
    from api.job_worker import work_beside  # the compiler and Arrow's functions, which the service needs not
    from api.logs import log_as_json

    log_as_json()
    work_beside(settings, held)
