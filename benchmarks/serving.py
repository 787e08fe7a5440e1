"""What benchmarks/api.py measures: predictions and look-ups of one real worker, from callers in another process.

Capacity is what eight callers get who wait for their answers. The service and two constant answers take turns second
by second in one process, so that whatever else the machine does meets all alike, and do so in some processes, since
one is a tenth quicker than another by how its memory happens to lie; medians are told. Each is the same application,
asked the same:

- `constant` reads and checks the customer as a prediction does; only the score and what is said of it are constant.
- `bare_constant` goes through the same door and limits, does not look at the customer, and answers by fixed bytes.

`half_load` sends at half of that capacity whether or not answers have come, to the service and then to the constant
answer, whose slowest are the machine's own; look-ups come so, too, at fifty a second: three thousand agents who see a
customer a minute. The machine needs a core for the service and one for the callers; `cpu_to_constant` and the like
compare the processor's time that an answer takes the worker, which neighbours change less.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.publish import published, write_scores
from benchmarks.rivals import NEXT, TURNS, train_naive
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
CAPACITY_SECONDS = 3.0
PROCESSES, ROUNDS, ROUND_SECONDS, TURN_SECONDS = 5, 4, 1.0, 0.05
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
        able = _capacity(service.port, request, CAPACITY_SECONDS).good_per_second
        figures |= _half_load(service.port, request, able)
        figures["rss_mb_afterwards"] = service.memory()
    taken = [_beside_constants(base, answer, request, able) for _ in range(PROCESSES)]
    figures |= {name: median(of_process[name] for of_process in taken) for name in taken[0]}
    train_naive(_customer(), folder)
    with _rival("naive", base, str(folder)) as naive:
        naive_per_second = _capacity(naive.port, request, CAPACITY_SECONDS).good_per_second
    return figures | {
        "naive_per_second": naive_per_second,
        "ratio_to_naive": figures["predictions_per_second"] / naive_per_second,
    }


def _beside_constants(base: dict[str, str], answer: Path, request: str, able: float) -> dict[str, float]:
    """What one process says; its constant answer's slowest are the machine's own."""
    with _rival("turns", base, str(answer)) as worker:
        figures = _in_turns(worker, request)
        worker.next_turn()
        came = _half_load(worker.port, request, able, CAPACITY_SECONDS)
        return figures | {"constant_p99_ms_half_load": came["p99_ms_half_load"]}


def _in_turns(worker: Worker, request: str) -> dict[str, float]:
    """How many answers a second each gives, and the processor's time that each takes for one."""
    rounds: dict[str, list[Round]] = {turn: [] for turn in TURNS}
    for _ in range(ROUNDS + 1):
        for taken in rounds.values():
            taken.append(worker.round(request))
            worker.next_turn()
    # The first answers of a process, and of a turn, are slower.
    seconds = {turn: median(each.per_second for each in taken[1:]) for turn, taken in rounds.items()}
    cpu = {turn: median(each.cpu_ms for each in taken[1:]) for turn, taken in rounds.items()}
    ours, *constants = TURNS
    figures = {"predictions_per_second": seconds[ours], "cpu_ms_per_prediction": cpu[ours]}
    for name in constants:
        figures[f"{name}_per_second"] = seconds[name]
        figures[f"ratio_to_{name}"] = seconds[ours] / seconds[name]
        figures[f"cpu_to_{name}"] = cpu[name] / cpu[ours]
    return figures


class Round(NamedTuple):
    """What a second of one turn came to."""

    per_second: float
    cpu_ms: float  # of the processor, for one answer


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that answers on a port."""

    port: int
    process: int

    def round(self, request: str) -> Round:
        """One second of capacity."""
        before = _cpu_seconds(self.process)
        came = _capacity(self.port, request, ROUND_SECONDS)
        cpu = _cpu_seconds(self.process) - before
        return Round(came.good_per_second, 1_000 * cpu / came.good)

    def next_turn(self) -> None:
        """Lets the next of its turns answer."""
        os.kill(self.process, NEXT)
        time.sleep(TURN_SECONDS)


def _capacity(port: int, request: str, seconds: float) -> Heard:
    return _only_good(heard(Calls(port, [request], seconds, callers=CALLERS)))


def _half_load(port: int, request: str, able: float, seconds: float = HALF_LOAD_SECONDS) -> dict[str, float]:
    came = heard(Calls(port, [request], seconds, per_second=able / 2))
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
    port, figures = free_port(), Path(tempfile.mkdtemp(prefix=which, dir=base["CHURN_HOME"]))
    with figures.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rivals", which, str(port), given],
            cwd=ROOT,
            env={**os.environ, **base, **dict.fromkeys(ONE_THREAD, "1"), VARIABLE: str(figures)},
            stdout=log,
            stderr=log,
        )
    try:
        _await(port, READY if which == "turns" else "/openapi.json")
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
