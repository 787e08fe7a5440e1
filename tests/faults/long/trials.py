"""A fault tried night after night on one base: what each try must leave behind, and who reads all the while."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random

import sqlalchemy as sa
from sqlalchemy import URL

from store.publication import Published
from store.tables import IN_FLIGHT, publication
from tests import postgres_server
from tests.faults.long.tally import Tally
from tests.faults.nights import CONTRACT, KIND, Base, left_over, night, publish, published_again, whole
from tests.faults.readers import reading, seen_in_files, seen_in_tables

MEMORY = Path("/dev/shm")  # a killed process leaves there what it would leave on a disk, and nobody waits for one
# A killed server loses what it holds itself. What it wrote, the machine keeps: that is not what is tried here.
SERVER = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
_HISTORY = sa.text(
    "SELECT as_of, count(*), count(DISTINCT customer_id), min(probability), max(probability), sum(probability)"
    " FROM score_history GROUP BY as_of"
)


@dataclass(slots=True)
class Trials:
    """The tries of one fault on one base, each on a night of its own."""

    base: Base
    tally: Tally
    random: Random
    nights: int = 1

    def tonight(self) -> date:
        """The next night, for one more try."""
        self.tally.tries += 1
        return self.next_night()

    def next_night(self) -> date:
        self.nights += 1
        return night(self.nights - 1)

    def committed(self, as_of: date) -> Published | None:
        """The night's publication as the database knows it."""
        return self.base.publisher().published(CONTRACT, KIND, as_of)

    def in_flight(self, as_of: date) -> str | None:
        """The run that holds the night, if one does."""
        run = publication.c
        holder = sa.select(run.run_id).where(run.as_of == as_of, run.state.in_(IN_FLIGHT))
        with self.base.publisher().engine.connect() as connection:
            found: str | None = connection.scalar(holder)
        return found

    def has_begun(self, as_of: date) -> bool:
        """Whether a run of the night got as far as its claim."""
        return bool(self.in_flight(as_of) or self.committed(as_of))

    def settle(self, as_of: date) -> None:
        """What the next run makes of the night, once its lease is over: whole, the same one as before, nothing else."""
        before = self.committed(as_of)
        run = published_again(self.base.publisher(), as_of)
        if before and before.run_id != run.run_id:
            self.tally.lost.append(f"{as_of}: run {before.run_id} gave way to {run.run_id}")
        self.check(as_of, run.run_id)

    def check(self, as_of: date, run_id: str) -> None:
        """Readers of tables and of files see that run of the night, whole, and nothing is left of another."""
        for seen in (seen_in_tables(self.base), seen_in_files(self.base)):
            if seen.flaw:
                self.tally.partial.append(seen.flaw)
            elif (seen.as_of, seen.run_id) != (as_of, run_id):
                self.tally.lost.append(f"{seen} is shown after run {run_id} of {as_of}")
        self.tally.leftovers += sorted(left_over(self.base) - set(self.tally.leftovers))

    def check_history(self) -> None:
        """Every night that was tried is there in the end, once and whole."""
        with self.base.publisher().engine.connect() as connection:
            found = {str(as_of): tuple(figures) for as_of, *figures in connection.execute(_HISTORY)}
        wanted = {str(night(number)): whole(night(number)) for number in range(self.nights)}
        self.tally.lost += [f"{as_of} is not in the history" for as_of in sorted(wanted.keys() - found.keys())]
        self.tally.partial += [
            f"{as_of}: {found[as_of]} in the history" for as_of in found if found[as_of] != wanted.get(as_of)
        ]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where faults are tried: a folder, a PostgreSQL server of one's own, and a seed for what is left to chance."""

    folder: Path
    server: URL
    seed: int

    def on_both(self, fault: str, attempt: Callable[[Trials], None]) -> Iterator[Tally]:
        """Tries the fault on SQLite, then on PostgreSQL, while readers look on."""
        for place in (self.on_sqlite, self.on_postgres):
            with place(fault) as trials:
                attempt(trials)
            yield trials.tally

    @contextmanager
    def on_sqlite(self, fault: str) -> Iterator[Trials]:
        home = self.home(fault)
        with self.trials(fault, Base(home, f"sqlite:///{home / 'churn.db'}")) as trials:
            yield trials

    @contextmanager
    def on_postgres(self, fault: str) -> Iterator[Trials]:
        with (
            postgres_server.database(self.server) as url,
            self.trials(fault, Base(self.home(fault), url)) as trials,
        ):
            yield trials

    def home(self, fault: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{fault}-", dir=self.folder))

    @contextmanager
    def trials(self, fault: str, base: Base) -> Iterator[Trials]:
        """Trials on a base whose first night is published; the home is gone afterwards."""
        tally = Tally(fault, "SQLite" if base.database_url.startswith("sqlite") else "PostgreSQL")
        trials = Trials(base, tally, Random(f"{self.seed} {fault} {tally.database}"))
        publish(base.publisher(), night(0))
        with reading(base) as reads:
            yield trials
        tally.saw(reads)
        trials.check_history()
        shutil.rmtree(base.home, ignore_errors=True)


@contextmanager
def ground(seed: int) -> Iterator[Ground]:
    """A folder and a server that are gone afterwards, however it ends."""
    with (
        tempfile.TemporaryDirectory(prefix="churn-faults-", dir=MEMORY if MEMORY.is_dir() else None) as folder,
        postgres_server.server(**SERVER) as server,
    ):
        yield Ground(Path(folder), server, seed)
