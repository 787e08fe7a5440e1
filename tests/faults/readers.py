"""Readers in a process of their own, who look at tables and files all the while and want a whole night each time."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from churn.errors import AuditFailed
from store import lake
from store.publication import current_folder
from store.tables import engine_for
from tests.faults.nights import CONTRACT, KIND, SET_ASIDE, Base, Figures, whole
from tests.faults.processes import start

PAUSE = 0.002  # seconds between two looks
LEISURE = 0.05  # seconds: where a run stands still at a point, one look tells as much as twenty, which take a core
_SCORES = sa.text(
    "SELECT min(as_of) AS oldest, max(as_of) AS newest, min(run_id) AS run, max(run_id) AS other, count(*),"
    " count(DISTINCT customer_id), min(probability), max(probability), sum(probability) FROM score_current"
)
_QUARANTINE = sa.text("SELECT min(run_id), max(run_id), count(*) FROM quarantine_current")
_COLUMNS = ["as_of", "customer_id", "probability"]


@dataclass(slots=True)
class Reads:
    """How many looks there were, how many had no answer, and what was wrong in the others; `slowest` in seconds."""

    looks: int = 0
    unanswered: int = 0
    slowest: float = 0.0
    partial: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add(self, other: Reads) -> None:
        self.looks += other.looks
        self.unanswered += other.unanswered
        self.slowest = max(self.slowest, other.slowest)
        self.partial += other.partial
        self.lost += other.lost


@contextmanager
def reading(base: Base, pause: float = PAUSE) -> Iterator[Reads]:
    """Reads while the block runs; the figures are there when it has ended."""
    reader, reads = start(read_on, base, pause), Reads()
    reader.told.recv()  # it has begun
    try:
        yield reads
    finally:
        reads.add(reader.stop())


@contextmanager
def undisturbed(base: Base) -> Iterator[Reads]:
    """The same at leisure, and fails unless every look found a whole night, and never an older one than before."""
    with reading(base, LEISURE) as reads:
        yield reads
    assert (reads.partial, reads.lost, reads.unanswered) == ([], [], 0)
    assert reads.looks > 0


def read_on(base: Base, pause: float, told: Connection) -> None:
    """The reader's process: looks at the files, then at the tables, until it is told to stop."""
    reads, newest = Reads(), date.min
    told.send("reading")
    while not reads.looks or not told.poll(pause):
        began = time.perf_counter()
        try:
            in_files, in_tables = seen_in_files(base), seen_in_tables(base)
        except sa.exc.DBAPIError:
            reads.unanswered += 1
            continue
        finally:
            reads.looks += 1
        reads.slowest = max(reads.slowest, time.perf_counter() - began)
        reads.partial += [view.flaw for view in (in_files, in_tables) if view.flaw]
        if max(in_files.as_of, newest) > in_tables.as_of:  # files follow the tables, and neither goes back
            reads.lost.append(f"{in_tables} after {newest}, files at {in_files}")
        newest = in_tables.as_of
    told.send(reads)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: the night and its run, and what is wrong with it, if anything is."""

    as_of: date
    run_id: str
    flaw: str = ""

    def __str__(self) -> str:
        return f"{self.as_of} of run {self.run_id}"


def seen_in_tables(base: Base) -> Seen:
    """The newest night as the views show it, scores and quarantine in one transaction."""
    engine = _engine(base.database_url).execution_options(isolation_level=_snapshot(base))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN") if engine.dialect.name == "sqlite" else None
        scores = connection.execute(_SCORES).one()
        aside = tuple(connection.execute(_QUARANTINE).one())
    if scores.newest is None:
        return Seen(date.min, "", "the view is empty")
    oldest, newest, run, other, *figures = scores
    flaw = _flaw(_date(newest), tuple(figures))
    if (oldest, run) != (newest, other) or aside != (run, run, SET_ASIDE):
        flaw = f"{oldest} to {newest}, runs {run} and {other}, quarantine {aside}"
    return Seen(_date(newest), run, flaw)


def seen_in_files(base: Base) -> Seen:
    """The newest night as `_CURRENT` and the manifest's digests vouch for it."""
    try:
        return _in_files(base)
    except (AuditFailed, OSError, ValueError) as refused:  # also what JSON and Parquet cannot read
        return Seen(date.min, "", f"{type(refused).__name__}: {refused}")


def _in_files(base: Base) -> Seen:
    folder = current_folder(base.lake, CONTRACT, KIND)
    if folder is None:
        return Seen(date.min, "", "there is no pointer")
    manifest = lake.read_manifest(folder)
    differences = lake.differences(manifest, folder)
    if differences:
        return Seen(date.min, folder.name, f"other bytes: {differences}")
    rows = lake.read_parquet([folder / file.path for file in manifest.files_in("scores")], _COLUMNS)
    as_of = date.fromisoformat(manifest.facts["as_of"])
    return Seen(as_of, folder.name, _flaw(as_of, _figures(rows)))


_engine = functools.cache(engine_for)  # whose connections are new at each look


def _snapshot(base: Base) -> str:
    return "AUTOCOMMIT" if base.database_url.startswith("sqlite") else "REPEATABLE READ"


def _figures(rows: pa.Table) -> Figures:
    probability = pc.min_max(rows["probability"]).as_py()
    customers = pc.count_distinct(rows["customer_id"]).as_py()
    return len(rows), customers, probability["min"], probability["max"], pc.sum(rows["probability"]).as_py()


def _flaw(as_of: date, figures: tuple[object, ...]) -> str:
    return "" if figures == whole(as_of) else f"{as_of}: {figures} and not {whole(as_of)}"


def _date(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def slowest_of(seconds: list[float], share: float) -> float:
    """The quantile of the waits; 0 where nobody waited."""
    with suppress(IndexError):
        return sorted(seconds)[int(share * (len(seconds) - 1))]
    return 0.0
