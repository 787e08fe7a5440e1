"""F11: a disk that is full, below the files of a run or below its tables."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store.tables import engine_for, publication
from tests import postgres_server
from tests.faults.long.runs import a_told_run, begun
from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground, Trials
from tests.faults.nights import Base

TRIES = 4  # on each disk, with ever more room, but never enough
DISK_MB = 48  # PostgreSQL's own tables of an empty database are 8 of them
NEEDED_KB = 240  # a night needs more, of files as of tables
TABLESPACE = "churn_small"
NO_ROOM = ("space", "full")  # one of these words is in what Linux, SQLite and PostgreSQL say then


def full_disks(ground: Ground) -> Iterator[Tally]:
    """The disk of the files, then that of the tables, on both databases; none where nobody may mount one."""
    for name, place in (
        ("F11 files", _files_on_sqlite),
        ("F11 files", _files_on_postgres),
        ("F11 tables", _tables_on_sqlite),
        ("F11 tables", _tables_on_postgres),
    ):
        try:
            with small_disk() as disk, place(ground, disk) as base, ground.trials(name, base) as trials:
                _fill_many(trials, disk)
            yield trials.tally
        except PermissionError as refused:
            yield Tally(name, "", remark=f"not tried: {refused}")


def _fill_many(trials: Trials, disk: Path) -> None:
    silent = sum(_fill_one(trials, disk, NEEDED_KB * number // TRIES) for number in range(TRIES))
    trials.tally.remark = f"0 to {NEEDED_KB * (TRIES - 1) // TRIES} kB free; could not note why it failed {silent}"


def _fill_one(trials: Trials, disk: Path, free_kb: int) -> bool:
    """Whether the run had no room even to say why it failed."""
    as_of = trials.tonight()
    with _filled(disk, free_kb):
        said = begun(a_told_run, trials.base, as_of).outcome()
    state = _state(trials.base, as_of)
    trials.tally.landed += any(word in said for word in NO_ROOM)
    if state == "published":
        trials.tally.broken.append(f"{as_of} was published with {free_kb} kB free: {said}")
    trials.settle(as_of)
    return state != "failed"


@contextmanager
def small_disk() -> Iterator[Path]:
    """A disk of a few MB in memory; PermissionError where nobody may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="churn-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        raise PermissionError("nobody may mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def _filled(disk: Path, free_kb: int) -> Iterator[None]:
    """The disk with so much room left."""
    ballast, there = disk / "ballast", os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, there.f_bavail * there.f_frsize - 1024 * free_kb)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _files_on_sqlite(ground: Ground, disk: Path) -> Iterator[Base]:
    yield Base(disk, f"sqlite:///{ground.home('F11') / 'churn.db'}")


@contextmanager
def _files_on_postgres(ground: Ground, disk: Path) -> Iterator[Base]:
    with postgres_server.database(ground.server) as url:
        yield Base(disk, url)


@contextmanager
def _tables_on_sqlite(ground: Ground, disk: Path) -> Iterator[Base]:
    yield Base(ground.home("F11"), f"sqlite:///{disk / 'churn.db'}")


@contextmanager
def _tables_on_postgres(ground: Ground, disk: Path) -> Iterator[Base]:
    """A database whose tables lie on the disk, those of PostgreSQL's own too."""
    server = engine_for(ground.server.render_as_string(hide_password=False))
    server = server.execution_options(isolation_level="AUTOCOMMIT")
    place = disk / "tables"
    place.mkdir(mode=0o777)
    os.chown(place, _owner(server), -1)
    _run(server, f"CREATE TABLESPACE {TABLESPACE} LOCATION '{place}'")
    try:
        with postgres_server.database(ground.server) as url:
            _run(server, f'ALTER DATABASE "{sa.make_url(url).database}" SET TABLESPACE {TABLESPACE}')
            yield Base(ground.home("F11"), url)
    finally:
        _run(server, f"DROP TABLESPACE {TABLESPACE}")


def _owner(server: Engine) -> int:
    with server.connect() as connection:
        return Path(connection.scalar(sa.text("SHOW data_directory"))).stat().st_uid


def _run(server: Engine, statement: str) -> None:
    with server.connect() as connection:
        connection.exec_driver_sql(statement)


def _state(base: Base, as_of: object) -> str | None:
    with base.publisher().engine.connect() as connection:
        found: str | None = connection.scalar(sa.select(publication.c.state).where(publication.c.as_of == as_of))
        return found
