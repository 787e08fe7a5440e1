"""What benchmarks/api.py measures: predictions and look-ups of one real worker, from callers in another process.

Capacity is what eight callers get who wait for their answers. The service and three constant answers take turns second
by second, so that whatever else the machine does meets all alike. Each is the same application, asked the same:

- `constant` reads and checks the customer as a prediction does; only the score and what is said of it are constant.
- `bare_constant` goes through the same door and limits, does not look at the customer, and answers by fixed bytes.
- `walked_constant` does not look at the customer either, and goes the way that FastAPI's routes usually go, which a
  prediction without a query spares itself: see `QuickRoute` in api/predictions.py.

`half_load` sends at half of that capacity whether or not answers have come, and so do the look-ups, at fifty a
second: three thousand agents who see a customer a minute. The machine needs a core for the service and one for the
callers; `cpu_to_constant` and the like compare the processor's time that an answer takes the worker, which neighbours
change less.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.publish import published, write_scores
from benchmarks.rivals import CONSTANTS, train_naive
from schemas.messages import ASKED, example_of
from store.artifacts import save_model
from store.contracts import read_contract
from store.metrics import VARIABLE
from store.publication import open_publisher
from store.registry import Promotion, open_registry
from store.service_settings import ONE_THREAD
from store.settings import read_settings
from tests import postgres_server
from tests.callers import Calls, Heard, heard
from tests.faults.long.api_service import ROOT, environment, free_port, read_answer, serving
from tests.house.test_first_score import of_training_size

CALLERS = 8
ROUNDS, ROUND_SECONDS = 8, 1.0
HALF_LOAD_SECONDS, LOOKUP_SECONDS = 10.0, 8.0
LOOKUPS_PER_SECOND = 50.0
CUSTOMERS = 20_000
READY = "/health/ready"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measures and prints."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churn-api-")))
        server = stack.enter_context(postgres_server.server(fsync="on"))
        database = stack.enter_context(postgres_server.database(server))
        scores = folder / "scores"
        write_scores(scores, CUSTOMERS)
        on_sqlite = _base(folder / "sqlite", scores)
        on_postgres = _base(folder / "postgres", scores, CHURN_DATABASE_URL=database)
        figures = _predictions(on_sqlite, folder)
        for name, base in (("sqlite", on_sqlite), ("postgres", on_postgres)):
            figures |= _lookups(name, base)
    _show(figures)


def _base(home: Path, scores: Path, **more: str) -> dict[str, str]:
    """The environment of a base with a champion of usual size and a published night."""
    home.mkdir()
    variables = environment(home, **more)
    settings = read_settings(variables)
    published(open_publisher(settings), scores, 0)
    registry, digest = open_registry(settings), save_model(of_training_size(), settings)
    version = registry.register("telco", digest)
    registry.promote(Promotion("telco", version, None, who="benchmark", why="it", segments=("all",), override=True))
    return variables


def _predictions(base: dict[str, str], folder: Path) -> dict[str, float]:
    began = time.monotonic()
    with serving(base, "telco") as service:
        _await(service.port, READY)
        figures = {"start_seconds": time.monotonic() - began, "rss_mb": service.memory()}
        request = service.request("/api/v1/predictions", json.dumps(_customer()).encode()).decode()
        answer = folder / "answer.json"
        answer.write_bytes(_body(service.port, request))
        with ExitStack() as stack:
            rivals = {name: stack.enter_context(_rival(name, base, str(answer))) for name in CONSTANTS}
            figures |= _in_turns(Worker(service.port, service.workers()[0]), rivals, request)
        figures |= _half_load(service.port, request, figures["predictions_per_second"])
        figures["rss_mb_afterwards"] = service.memory()
    train_naive(_customer(), folder)
    with _rival("naive", base, str(folder)) as naive:
        naive_per_second = _capacity(naive.port, request, 3.0).good_per_second
    return figures | {
        "naive_per_second": naive_per_second,
        "ratio_to_naive": figures["predictions_per_second"] / naive_per_second,
    }


def _in_turns(served: Worker, rivals: Mapping[str, Worker], request: str) -> dict[str, float]:
    """How many answers a second each gives, and the processor's time that each takes for one."""
    workers = (served, *rivals.values())
    for worker in workers:
        _capacity(worker.port, request, ROUND_SECONDS)  # the first answers of a process are slower
    for _ in range(ROUNDS):
        for worker in workers:
            worker.round(request)
    figures = {"predictions_per_second": served.per_second, "cpu_ms_per_prediction": served.cpu_ms}
    for name, rival in rivals.items():
        figures[f"{name}_per_second"] = rival.per_second
        figures[f"ratio_to_{name}"] = served.per_second / rival.per_second
        figures[f"cpu_to_{name}"] = rival.cpu_ms / served.cpu_ms
    return figures


@dataclass(slots=True)
class Worker:
    """A process that answers on a port, and what it did in its rounds."""

    port: int
    process: int
    answers: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

    def round(self, request: str) -> None:
        """One more, of capacity."""
        before = _cpu_seconds(self.process)
        came = _capacity(self.port, request, ROUND_SECONDS)
        self.cpu += _cpu_seconds(self.process) - before
        self.answers += came.statuses["200"]
        self.seconds += came.seconds

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the processor's time that an answer takes."""
        return 1_000 * self.cpu / self.answers


def _capacity(port: int, request: str, seconds: float) -> Heard:
    return _only_good(heard(Calls(port, [request], seconds, callers=CALLERS)))


def _half_load(port: int, request: str, able: float) -> dict[str, float]:
    came = heard(Calls(port, [request], HALF_LOAD_SECONDS, per_second=able / 2))
    return {
        "p99_ms_half_load": _p99(came.milliseconds),
        # Where neighbours keep the processor from the worker, a queue that is full refuses at half load, too.
        "refused_share_half_load": 1.0 - came.good / came.answers,
        "callers_late_p99_ms": _p99(came.late),
    }


def _lookups(name: str, base: dict[str, str]) -> dict[str, float]:
    dice = np.random.default_rng(1)
    with serving(base, "telco") as service:
        _await(service.port, READY)
        keys = [f"C{bucket:02d}{number:08d}" for bucket, number in dice.integers(0, (16, CUSTOMERS // 16), (500, 2))]
        requests = [service.request(f"/api/v1/customers/{key}").decode() for key in keys]
        _only_good(heard(Calls(service.port, requests, 2.0, per_second=LOOKUPS_PER_SECOND)))
        came = _only_good(heard(Calls(service.port, requests, LOOKUP_SECONDS, per_second=LOOKUPS_PER_SECOND)))
    return {f"lookup_p99_ms_{name}": _p99(came.milliseconds)}


def _only_good(came: Heard) -> Heard:
    if set(came.statuses) != {"200"}:
        raise RuntimeError(f"not all was answered: {came.statuses}")
    return came


@contextmanager
def _rival(which: str, base: dict[str, str], given: str) -> Iterator[Worker]:
    """One, which writes its log into a file and its figures where several workers could add up, as the service does."""
    port, figures = free_port(), Path(base["CHURN_HOME"]) / which
    figures.mkdir()
    with figures.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rivals", which, str(port), given],
            cwd=ROOT,
            env={**os.environ, **base, **dict.fromkeys(ONE_THREAD, "1"), VARIABLE: str(figures)},
            stdout=log,
            stderr=log,
        )
    try:
        _await(port, READY if which in CONSTANTS else "/openapi.json")
        yield Worker(port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _customer() -> dict[str, Any]:
    """A customer as the contract's own examples have him."""
    return {column.name: example_of(column) for column in read_contract("telco").customer.with_role(*ASKED)}


def _body(port: int, request: str) -> bytes:
    """What the service answers to one request."""

    async def asked() -> bytes:
        reads, writes = await asyncio.open_connection("127.0.0.1", port)
        writes.write(request.encode())
        answer = await read_answer(reads, time.monotonic())
        writes.close()
        return answer.body

    return asyncio.run(asked())


def _await(port: int, path: str) -> None:
    """Returns once the path is answered by 200."""
    while True:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as line:
            line.request("GET", path)
            if line.getresponse().status == HTTPStatus.OK:
                return
        time.sleep(0.01)


def _cpu_seconds(process: int) -> float:
    """The processor's time that the process has taken."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / TICKS


def _p99(milliseconds: list[float]) -> float:
    return float(np.quantile(milliseconds, 0.99))


def _show(figures: dict[str, float]) -> None:
    rounded = {name: round(value, 3) for name, value in figures.items()}
    printed = Table("what", "value", title=f"The service, load {os.getloadavg()[0]:.1f}")
    for name, value in rounded.items():
        printed.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(printed)
    print(json.dumps(rounded))
