"""F14: a long report that is open while a night is published, and what other readers wait meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
import sqlalchemy as sa

from store.tables import engine_for
from tests.faults.long.runs import a_later_run, begun
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.nights import CUSTOMERS, Base
from tests.faults.processes import killed_at, start
from tests.faults.readers import seen_in_tables, slowest_of

REPORT_SECONDS = (12, 60)
SECONDS_BEFORE = 4  # of look-ups beside the report alone, to tell what it costs from what the publication does
PROMISED_SECONDS = 0.1  # that the publication adds to what 99 of 100 look-ups wait
PAUSE = 0.005
FETCHES = 200
_REPORT = sa.text("SELECT run_id, customer_id, probability FROM score_current")
_LOOK_UP = "SELECT probability FROM score_current WHERE customer_id = 'C000000'"


def long_queries(ground: Ground) -> Iterator[Tally]:
    """Publications beside a report, which also clear away what a killed run has loaded."""
    return ground.on_both("F14", _report_all)


def _report_all(trials: Trials) -> None:
    waits = [_report_one(trials, seconds) for seconds in REPORT_SECONDS]
    trials.tally.remark = "look-ups' p99 in ms before the publication, then beside it: " + "; ".join(map(str, waits))


def _report_one(trials: Trials, seconds: float) -> Waits:
    as_of, yesterday = trials.tonight(), seen_in_tables(trials.base).run_id
    killed_at("audited", trials.base, as_of)  # whose rows the next run drops, while the report keeps it from doing so
    report = begun(a_report, trials.base, seconds)
    with looking_up(trials.base) as waits:
        time.sleep(SECONDS_BEFORE)
        waits.began = time.perf_counter()
        said = start(a_later_run, trials.base, as_of).outcome()
        waits.ended = time.perf_counter()
    beside_it = said.startswith("published") and not report.told.poll()
    trials.tally.landed += beside_it
    if not beside_it:
        trials.tally.broken.append(f"{as_of} was not published while the report was open: {said}")
    _judge(trials, report.outcome(), yesterday, waits)
    trials.settle(as_of)
    return waits


def _judge(trials: Trials, report: str, yesterday: str, waits: Waits) -> None:
    whole = f"{CUSTOMERS} customers of {yesterday}"
    if report != whole:
        trials.tally.partial.append(f"the report found {report} and not {whole}")
    if waits.beside - waits.before > PROMISED_SECONDS:
        trials.tally.broken.append(f"look-ups waited {waits} ms")


def a_report(base: Base, seconds: float, told: Connection) -> None:
    """Reads the newest night slowly, as a report does whose reader looks at each page."""
    runs, customers = set(), 0
    with engine_for(base.database_url).connect() as connection:
        rows = connection.execution_options(stream_results=True).execute(_REPORT)
        told.send("begins")
        while page := rows.fetchmany(CUSTOMERS // FETCHES):
            runs |= {row.run_id for row in page}
            customers += len(page)
            time.sleep(seconds / FETCHES)
    told.send(f"{customers} customers of {', '.join(sorted(runs))}")


@dataclass(slots=True)
class Waits:
    """What each look-up waited, with its moment, and when the publication began and ended; all in seconds."""

    began: float = 0.0
    ended: float = 0.0
    looks: list[tuple[float, float]] = field(default_factory=list)

    @property
    def before(self) -> float:
        return _p99([seconds for moment, seconds in self.looks if moment < self.began])

    @property
    def beside(self) -> float:
        return _p99([seconds for moment, seconds in self.looks if self.began <= moment < self.ended])

    def __str__(self) -> str:
        return f"{1000 * self.before:.0f}, {1000 * self.beside:.0f}"


def _p99(waits: list[float]) -> float:
    """What 99 of 100 would have waited who came one `PAUSE` after the other, however long those before them waited."""
    return slowest_of([left for wait in waits for left in np.arange(wait, 0, -PAUSE)], 0.99)


@contextmanager
def looking_up(base: Base) -> Iterator[Waits]:
    """Looks one customer up again and again while the block runs; what it waited is there when it has ended."""
    waits, look_ups = Waits(), begun(look_up_on, base)
    try:
        yield waits
    finally:
        waits.looks += look_ups.stop()


def look_up_on(base: Base, told: Connection) -> None:
    """The process of the look-ups, on one connection."""
    looks: list[tuple[float, float]] = []
    with engine_for(base.database_url).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        told.send("begins")
        while not told.poll(PAUSE):
            began = time.perf_counter()
            connection.exec_driver_sql(_LOOK_UP).all()
            looks.append((began, time.perf_counter() - began))
    told.send(looks)
