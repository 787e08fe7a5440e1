"""Keeps jobs: who works on which under what lease, how far it came, and its files, so that they survive a restart."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import Fenced
from schemas.jobs import ENDED, Given, State
from store.access_tables import answered_request, job
from store.claims import database_now
from store.lake import make_folder, replacing
from store.settings import Settings

LEASE = timedelta(seconds=60)  # for a process to start, or for a chunk, which takes less than one of them
MOST_ATTEMPTS = 3  # by processes that died over it: its content may be what kills them
KEPT = timedelta(days=7)  # scores of people are not kept for longer than somebody fetches them
ADDED_WITHIN = timedelta(hours=1)  # of what it was sent; else nobody will, and the room is wanted
MOST_CALLS = 5
_BLOCK = 1 << 16
_NAME_BYTES = 12

Models = Mapping[str, tuple[int, str]]  # of each segment: version and digest


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for: by whom, which models score, and whose customers the owner may see (none of a kind: all)."""

    contract: str
    owner: str
    given: Given
    models: Models
    segments: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands; times are the database's, in UTC. `holder` names who works on it."""

    job: str
    contract: str
    owner: str
    given: Given
    models: Models
    segments: tuple[str, ...]
    regions: tuple[str, ...]
    created_at: datetime
    state: State
    holder: str | None
    attempts: int
    rows: int | None
    done: int
    as_of: date | None
    ended_at: datetime | None
    reason: str | None
    result_sha256: str | None
    callback: str | None
    calls: int
    call_result: str | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The folder of a job."""

    folder: Path

    @property
    def given(self) -> Path:
        """What was sent, byte by byte."""
        return self.folder / "given"

    @property
    def rows(self) -> Path:
        """What was sent, read once: a row each, of the contract's columns, and what is wrong with it."""
        return self.folder / "rows.parquet"

    @property
    def result(self) -> Path:
        """The result as Parquet."""
        return self.folder / "result.parquet"

    @property
    def result_csv(self) -> Path:
        """The result as CSV, in which no cell is a formula."""
        return self.folder / "result.csv"

    def chunk(self, first: int) -> Path:
        """The results of the rows from this place on."""
        return self._chunks / f"{first:08d}.parquet"

    def keep_the_result_alone(self) -> None:
        """Removes what nobody needs any more once the job has ended."""
        self.given.unlink(missing_ok=True)
        self.rows.unlink(missing_ok=True)
        shutil.rmtree(self._chunks, ignore_errors=True)

    @property
    def _chunks(self) -> Path:
        return self.folder / "chunks"


@dataclass(frozen=True, slots=True)
class Jobs:
    """All jobs of a database, and the folder of their files."""

    engine: Engine
    root: Path

    def files(self, name: str) -> JobFiles:
        """The files of a job."""
        return JobFiles(self.root / name)

    def keep(self, content: bytes) -> str:
        """Keeps what was sent under the name of a job to come; without one it is swept some day."""
        name = secrets.token_hex(_NAME_BYTES)
        files = self.files(name)
        make_folder(files.folder)
        with replacing(files.given) as beside:
            beside.write_bytes(content)
        return name

    def drop(self, name: str) -> None:
        """Drops what was kept for a job that then was not added."""
        shutil.rmtree(self.files(name).folder, ignore_errors=True)

    def add(self, connection: Connection, name: str, new: NewJob) -> Job:
        """Adds the job whose content was kept, in the connection's transaction."""
        asked = {field: getattr(new, field) for field in NewJob.__dataclass_fields__}
        begun = {"state": State.WAITING, "attempts": 0, "done": 0, "calls": 0, "created_at": database_now(connection)}
        lists = {"segments": list(new.segments), "regions": list(new.regions), "models": dict(new.models)}
        connection.execute(sa.insert(job).values(asked | lists | begun | {"job": name}))
        found = self._of(connection, name)
        assert found is not None  # noqa: S101 - it was written just now
        return found

    def under_way(self, connection: Connection, owner: str) -> int:
        """How many jobs of that owner have not ended."""
        his = (job.c.owner == owner, job.c.state.in_((State.WAITING, State.RUNNING)))
        return connection.scalar(sa.select(sa.func.count()).where(*his)) or 0

    def of(self, name: str) -> Job | None:
        """The job of that name."""
        with self.engine.connect() as connection:
            return self._of(connection, name)

    def anybody_to_tell(self) -> bool:
        """Whether the end of some job is to be told now."""
        with self.engine.connect() as connection:
            due = sa.exists().where(*_due(database_now(connection)))
            return bool(connection.scalar(sa.select(due)))

    def claim(self, lease: timedelta = LEASE) -> Job | None:
        """The oldest job, that nobody works on, of the owner who was last served longest ago; None where there is none.

        A job whose lease ran out is worked on by nobody. One over which too many processes died fails instead.
        """
        with self.engine.begin() as connection:
            now = database_now(connection)
            given_up = self._give_up(connection, now)
            oldest = _in_turn(now).limit(1)
            held = {"state": State.RUNNING, "holder": secrets.token_hex(_NAME_BYTES), "lease_until": now + lease}
            # Of two who choose the same at once, the second finds it taken when the first has committed.
            taken = sa.update(job).where(job.c.job == oldest.scalar_subquery(), _free(now))
            taken = taken.values(**held, attempts=job.c.attempts + 1)
            name = connection.execute(taken.returning(job.c.job)).scalar_one_or_none()
            claimed = self._of(connection, name) if name else None
        for spent in given_up:
            self.files(spent).keep_the_result_alone()
        return claimed

    def read(self, held: Job, rows: int, as_of: date | None) -> Job:
        """Notes how many rows there are, and of which night; Fenced where the job was lost."""
        return self._change(held, rows=rows, as_of=as_of)

    def advance(self, held: Job, done: int, lease: timedelta = LEASE) -> Job:
        """Notes a finished chunk, and keeps the job for another while; Fenced where it was lost."""
        return self._change(held, lease, done=done)

    def give_back(self, held: Job) -> None:
        """Lets others go on with it at once; it does not count as an attempt."""
        self._change(held, timedelta(), state=State.WAITING, holder=None, attempts=held.attempts - 1)

    def finish(self, held: Job, result_sha256: str) -> Job:
        """It is done, and whoever wants to be told of it is due."""
        return self._end(held, state=State.DONE, result_sha256=result_sha256, done=held.rows)

    def fail(self, held: Job, reason: str) -> Job:
        """It failed for good."""
        return self._end(held, state=State.FAILED, reason=reason)

    def to_be_told(self, lease: timedelta = LEASE) -> Job | None:
        """A job whose end somebody is to be told of now, for the caller alone while the lease lasts."""
        with self.engine.begin() as connection:
            now = database_now(connection)
            due = sa.select(job.c.job).where(*_due(now)).order_by(job.c.call_at).limit(1).scalar_subquery()
            taken = sa.update(job).where(job.c.job == due, *_due(now))
            taken = taken.values(call_at=now + lease, calls=job.c.calls + 1)
            name = connection.execute(taken.returning(job.c.job)).scalar_one_or_none()
            return self._of(connection, name) if name else None

    def told(self, name: str, came: str, again_after: timedelta | None) -> None:
        """Notes what came of a call, and when to try again; None for never."""
        with self.engine.begin() as connection:
            call_at = None if again_after is None else database_now(connection) + again_after
            connection.execute(sa.update(job).where(job.c.job == name).values(call_at=call_at, call_result=came))

    def old(self) -> list[Path]:
        """The folders that `forget_old` would remove now."""
        with self.engine.connect() as connection:
            names = list(connection.scalars(sa.select(job.c.job).where(*_ended_before(_old(connection)))))
            known = set(connection.scalars(sa.select(job.c.job)))
        return [self.files(name).folder for name in (*names, *self._nobodys(known))]

    def forget_old(self) -> None:
        """Removes the files of jobs that ended long ago, and the answers that nobody asks for again."""
        with self.engine.begin() as connection:
            old = _old(connection)
            gone = sa.update(job).where(*_ended_before(old)).values(state=State.GONE).returning(job.c.job)
            names = list(connection.scalars(gone))
            connection.execute(sa.delete(answered_request).where(answered_request.c.recorded_at < old))
            known = set(connection.scalars(sa.select(job.c.job)))
        for name in (*names, *self._nobodys(known)):
            shutil.rmtree(self.files(name).folder, ignore_errors=True)

    def _nobodys(self, known: set[str]) -> list[str]:
        """Folders of jobs that were never added, since their process or the database failed before."""
        begun = time.time() - ADDED_WITHIN.total_seconds()
        folders = self.root.iterdir() if self.root.is_dir() else ()
        return [folder.name for folder in folders if folder.name not in known and folder.stat().st_mtime < begun]

    def _of(self, connection: Connection, name: str) -> Job | None:
        row = connection.execute(sa.select(*_COLUMNS).where(job.c.job == name)).mappings().one_or_none()
        return _job(dict(row)) if row else None

    def _change(self, held: Job, lease: timedelta = LEASE, **values: Any) -> Job:
        with self.engine.begin() as connection:
            until = database_now(connection) + lease
            mine = (job.c.job == held.job, job.c.holder == held.holder, job.c.state == State.RUNNING)
            changed = connection.execute(sa.update(job).where(*mine).values(lease_until=until, **values))
            found = self._of(connection, held.job)
        if not changed.rowcount or found is None:
            raise Fenced("another process works on it by now", where=f"job {held.job}", to_do="Nothing: it goes on.")
        return found

    def _end(self, held: Job, **values: Any) -> Job:
        with self.engine.connect() as connection:
            now = database_now(connection)
        ended = self._change(held, holder=None, ended_at=now, call_at=now if held.callback else None, **values)
        self.files(held.job).keep_the_result_alone()
        return ended

    def _give_up(self, connection: Connection, now: datetime) -> Sequence[str]:
        spent = (_free(now), job.c.attempts >= MOST_ATTEMPTS)
        call_at = sa.case((job.c.callback.is_not(None), now))
        reason = f"{MOST_ATTEMPTS} processes ended while they worked on it"
        ended = {"state": State.FAILED, "holder": None, "reason": reason, "ended_at": now, "call_at": call_at}
        return connection.scalars(sa.update(job).where(*spent).values(ended).returning(job.c.job)).all()


def open_jobs(settings: Settings, engine: Engine) -> Jobs:
    """The jobs of the engine's database, their files in the settings' lake."""
    return jobs_beside(engine, settings.lake)


def jobs_beside(engine: Engine, lake: Path) -> Jobs:
    """The jobs of the engine's database, their files in that lake's folder."""
    return Jobs(engine, lake / "jobs")


def blocks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a result's file, so many at a time; FileNotFoundError at once where it is gone."""
    return _blocks(path.open("rb"))


def _blocks(opened: IO[bytes]) -> Iterator[bytes]:
    with opened:
        while block := opened.read(_BLOCK):
            yield block


_COLUMNS = [job.c[name] for name in Job.__dataclass_fields__]


def _free(now: datetime) -> sa.ColumnElement[bool]:
    """What somebody may take: nobody works on it, or he has not been heard of for a lease."""
    lapsed = (job.c.state == State.RUNNING) & (job.c.lease_until <= now)
    return sa.or_(job.c.state == State.WAITING, lapsed)


def _in_turn(now: datetime) -> sa.Select[tuple[str]]:
    """What somebody may take, in its order: who sends a hundred jobs keeps nobody else waiting for all of them."""
    held = sa.select(job.c.owner, sa.func.max(job.c.lease_until).label("served")).where(job.c.state != State.GONE)
    lately = held.group_by(job.c.owner).subquery()
    free = sa.select(job.c.job).join(lately, lately.c.owner == job.c.owner).where(_free(now))
    return free.order_by(lately.c.served.nulls_first(), job.c.created_at, job.c.job)


def _old(connection: Connection) -> datetime:
    return database_now(connection) - KEPT


def _ended_before(moment: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return job.c.ended_at < moment, job.c.state.in_((State.DONE, State.FAILED))


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Whose end is to be told: also who tells may die over it, and is not followed for ever."""
    return job.c.call_at <= now, job.c.calls < MOST_CALLS


def _job(row: Mapping[str, Any]) -> Job:
    models = {segment: (version, digest) for segment, (version, digest) in row["models"].items()}
    lists = {"segments": tuple(row["segments"]), "regions": tuple(row["regions"]), "models": models}
    return Job(**{**row, **lists, "given": Given(row["given"]), "state": State(row["state"])})
