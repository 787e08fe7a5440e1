"""Runs the service: some workers on one socket, replaced one by one where they die or are told to (SIGHUP).

`churn serve` becomes this program. It imports little itself, since each worker begins by importing it, too.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Multiprocess

from churn.errors import ChurnError
from store.metrics import clear_shared_folder
from store.process_memory import do_without, keep_one_heap
from store.settings import current_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

GRACE_SECONDS = 15  # for what is under way when a worker is told to end
KEEP_ALIVE_SECONDS = 75  # longer than proxies keep theirs, so that none sends into a connection that ends here
START_SECONDS = 30  # a worker needs two, on a busy machine more
LARGEST_HEADERS = 16 * 1024  # bytes
# How long the event loop waits until a thread lets it go on, a few times in each request: with Python's own 5 ms, a
# look at the registry that takes the processor for 5 ms kept everybody waiting for 40 to 60.
SWITCH_SECONDS = 0.0005
# What libraries import where it is installed, though a worker has no use for it. Arrow imports pandas with its first
# array, 40 MB and half a second; FastAPI looks whether a model is one of Pydantic's first version, and structlog and
# SQLAlchemy are ready for green threads, 2.6 MB together.
SPARED = ("pandas", "pydantic.v1", "greenlet")

log = logging.getLogger(__name__)


class WorkerConfig(Config):
    """Spares a worker some packages before it imports anything, its protocol and its application included."""

    def load(self) -> None:
        """The first that a worker does."""
        for package in SPARED:
            do_without(package)
        keep_one_heap()
        super().load()


def main() -> None:
    """Serves until it is told to end."""
    from api.logs import log_as_json  # not above: a worker imports this module before it spares itself anything

    asked = _arguments()
    log_as_json()
    clear_shared_folder(current_settings(), asked.port)  # who holds the port owns the folder of its figures
    config = configuration(asked.contract, asked.host, asked.port, asked.workers)
    workers = Multiprocess(config, sockets=[socket.socket(fileno=asked.line)])
    workers.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes):
        sys.exit(STARTUP_FAILURE)


def configuration(contract: str, host: str, port: int, workers: int) -> WorkerConfig:
    """How uvicorn runs the workers, which answer for the customers of this contract."""
    return WorkerConfig(
        partial(service, contract),
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http="api.connections:Connection",  # each worker imports it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
    )


def service(contract: str) -> FastAPI:
    """A worker's application; the worker ends with a sentence where its environment is not enough."""
    from api.app import create_app  # a second, which the process that only watches the workers need not spend
    from api.logs import log_as_json

    log_as_json()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return create_app(contract=contract)
    except ChurnError as error:
        log.error("%s: %s", type(error).__name__, error)
        sys.exit(STARTUP_FAILURE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api.server", description=__doc__)
    parser.add_argument("--contract", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--line", type=int, required=True, help="number of the file that is the socket")
    return parser.parse_args()


if __name__ == "__main__":
    main()
