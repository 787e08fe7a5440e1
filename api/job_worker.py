"""Works jobs off: chunk by chunk, each kept before the next is begun, in a process of its own beside the service.

A hostile file, a compiler and a million cells then cost a worker of the service nothing, and take nobody's answer away.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing import parent_process

import pyarrow as pa
from sqlalchemy.exc import SQLAlchemyError

from churn.contract import parse_contract
from churn.errors import ChurnError, Fenced, StoreUnreachable
from churn.job_rows import Champions, results_of
from churn.scoring import Stamp
from churn.segments import ALL
from schemas.contract import Contract
from store.artifacts import load_model
from store.callbacks import Callbacks, Came, current_callbacks
from store.exports import export_table
from store.fault_points import reached
from store.job_content import AS_OF, read_given
from store.jobs import MOST_CALLS, Job, JobFiles, Jobs, open_jobs
from store.lake import read_parquet, sha256_of, write_parquet
from store.settings import Settings
from store.tables import answering, engine_for

CHUNK_ROWS = 10_000
NICE = 10  # what people wait for goes first
MOST_MEMORY = 3 << 30  # bytes: a third of them for Arrow to begin with, the rest for what a file of any size turns into

log = logging.getLogger(__name__)

Stopped = Callable[[], bool]


def work_beside(settings: Settings, held: Job | None) -> None:
    """Works until nothing is due, somebody ends it or the service is gone; this is all that the process does."""
    os.nice(NICE)
    # The rest of the machine is the service's and the night's, whatever a stranger's file asks for.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    stop = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stop.set())
    _set_when_alone(stop)
    try:
        work(settings, stop.is_set, held)
    except StoreUnreachable as away:
        log.warning("%s", away)


def work(settings: Settings, stopped: Stopped = lambda: False, held: Job | None = None) -> None:
    """Works on the job that is held, and then off what is due, job by job, and tells whoever wants to be told.

    StoreUnreachable where the database goes away; what was done until then is kept.
    """
    jobs = open_jobs(settings, engine_for(settings.database_url))
    with answering(jobs.engine):
        jobs.forget_old()
        if held:
            _try(held, jobs, settings, stopped)
        while not stopped() and (_worked(jobs, settings, stopped) or _told(jobs, current_callbacks())):
            pass


def _set_when_alone(stop: threading.Event) -> None:
    """A service that was killed tells nobody: then the job is given back where it stands."""
    service = parent_process()

    def wait() -> None:
        if service:
            service.join()
        stop.set()

    threading.Thread(target=wait, daemon=True, name="is the service there").start()


def _worked(jobs: Jobs, settings: Settings, stopped: Stopped) -> bool:
    """Whether there was a job to work on."""
    held = jobs.claim()
    if held:
        _try(held, jobs, settings, stopped)
    return held is not None


def _try(held: Job, jobs: Jobs, settings: Settings, stopped: Stopped) -> None:
    """Works on the job; what is wrong with it fails it alone."""
    try:
        if reason := _why_it_failed(held, jobs, settings, stopped):
            jobs.fail(held, reason)
    except Fenced as lost:
        log.warning("%s", lost)


def _why_it_failed(held: Job, jobs: Jobs, settings: Settings, stopped: Stopped) -> str:
    """Works on the job; empty where it is done or given back."""
    try:
        _work_on(held, jobs, settings, stopped)
    except (Fenced, StoreUnreachable, SQLAlchemyError):
        raise
    except ChurnError as failed:
        return f"{failed.what}. {failed.to_do}".strip()
    except MemoryError:
        return "it needs more memory than a job may take. Send fewer rows, or smaller values"
    except Exception as failed:
        # A file is a stranger's: whatever it sets off, the next job is worked on.
        log.exception("job %s", held.job)
        return f"an unforeseen {type(failed).__name__}; the service's log says more"
    return ""


def _work_on(held: Job, jobs: Jobs, settings: Settings, stopped: Stopped) -> None:
    files = jobs.files(held.job)
    contract, champions = _champions(held, settings)
    rows = _rows(held, files, contract, settings)
    held = jobs.read(held, rows.num_rows, rows[AS_OF][0].as_py())
    for first in range(held.done, rows.num_rows, CHUNK_ROWS):
        if stopped():
            return jobs.give_back(held)
        part = rows.slice(first, CHUNK_ROWS)
        write_parquet(results_of(part, contract, champions, first + 1), files.chunk(first))
        held = jobs.advance(held, first + part.num_rows)
        reached("job-chunk")
    result = read_parquet(files.chunk(first) for first in range(0, rows.num_rows, CHUNK_ROWS))
    write_parquet(result, files.result)
    export_table(result, files.result_csv)
    jobs.finish(held, sha256_of(files.result))
    return None


def _champions(held: Job, settings: Settings) -> tuple[Contract, Champions]:
    """The models that were champions when the job was asked for, and the contract that its rows are read by."""
    models = {segment: load_model(digest, settings) for segment, (_, digest) in held.models.items()}
    carried = models[ALL].manifest
    contract = parse_contract(carried.contract_text, where=f"contract inside model {models[ALL].digest}")
    day = held.created_at.date()  # the results name none
    stamps = {segment: Stamp(day, contract, *held.models[segment]) for segment in models}
    return contract, {segment: (model.card, stamps[segment]) for segment, model in models.items()}


def _rows(held: Job, files: JobFiles, contract: Contract, settings: Settings) -> pa.Table:
    """What was given, read once: who goes on later goes on with the same rows, whatever night is newest then."""
    if not files.rows.exists():
        write_parquet(read_given(held, files.given, contract, settings), files.rows)
    return read_parquet([files.rows])


def _told(jobs: Jobs, callbacks: Callbacks) -> bool:
    """Whether there was somebody to tell of the end of a job."""
    ended = jobs.to_be_told()
    if ended is None:
        return False
    came = _came_of_telling(ended, callbacks)
    again = None if came.told or ended.calls >= MOST_CALLS else came.again_after(ended.calls)
    jobs.told(ended.job, came.says, again)
    return True


def _came_of_telling(ended: Job, callbacks: Callbacks) -> Came:
    try:
        return callbacks.tell(ended)
    except Exception as failed:
        # An address is a stranger's: whatever it sets off, the next is told of his job.
        log.exception("the end of job %s cannot be told", ended.job)
        return Came(told=False, says=f"an unforeseen {type(failed).__name__}", worth_another=False)
