"""Removes what the retention policy keeps no longer, in an order that may be cut short anywhere.

Readers lose sight of a run in one commit. Those who have it open keep it for the grace of the policy; the next time
after that its rows go, then its folder, and what was cut short is found and finished. The run's row in `publication`
stays, without a folder, and says why the rest went.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from schemas.retention import Retention
from store.access_tables import job
from store.claims import database_now
from store.jobs import KEPT, jobs_beside
from store.lake import Lake, bytes_in, sync
from store.partitions import drop_quietly, fences_in
from store.publication import Publisher
from store.retention import Going, what_goes
from store.tables import TABLES_OF, alone, current_pointer, night_pointer, publication

ON_ITS_WAY_OUT = "gone-"


def cleared(publisher: Publisher, retention: Retention, *, dry_run: bool = False) -> Iterator[tuple[Going, bool]]:
    """Removes all that the policy keeps no longer, and tells of each thing whether it is gone.

    A dry run removes nothing, and tells what would go.
    """
    if not dry_run:
        publisher.sweep()
    for going in what_goes(publisher, retention):
        yield going, not dry_run and remove(publisher, going)
    for going in _old_jobs(publisher, dry_run=dry_run):
        yield going, not dry_run


def remove(publisher: Publisher, going: Going) -> bool:
    """Removes it; False where readers may still be at it, or hold its rows: it goes a later time then."""
    if going.in_sight:
        _retire(publisher.engine, going)
        return False
    if going.run_id and not _rows_dropped(publisher.engine, going.fence):
        return False
    if going.folder.exists():
        _remove_folder(publisher.lake, going.folder)
    return True


def _old_jobs(publisher: Publisher, *, dry_run: bool) -> Iterator[Going]:
    """What the service's jobs left, which goes a week after their end whatever a policy says."""
    if not sa.inspect(publisher.engine).has_table(job.name):
        return
    jobs = jobs_beside(publisher.engine, publisher.lake.root)
    folders = [(folder, bytes_in(folder)) for folder in jobs.old()]
    if not dry_run:
        jobs.forget_old()
    for folder, size in folders:
        yield Going(f"job {folder.name}", f"ended more than {KEPT.days} days ago", folder, size)


def _retire(engine: Engine, going: Going) -> None:
    """Takes the run out of readers' sight, unless those of the newest night see it by now."""
    run, now_current = publication.c, sa.select(current_pointer.c.run_id)
    its_row = sa.and_(run.run_id == going.run_id, run.run_id.not_in(now_current))
    reason = sa.func.coalesce(run.reason, f"kept no longer: {going.why}")
    with alone(engine) as connection:
        facts = {"folder": None, "retired_at": database_now(connection), "reason": reason}
        if connection.execute(sa.update(publication).where(its_row).values(facts)).rowcount == 1:
            connection.execute(sa.delete(night_pointer).where(night_pointer.c.run_id == going.run_id))


def _rows_dropped(engine: Engine, fence: int) -> bool:
    for table in (table for tables in TABLES_OF.values() for table in tables):
        with engine.connect() as connection:
            there = fence in fences_in(connection, table)
        if there and not drop_quietly(engine, table, fence):
            return False
    return True


def _remove_folder(lake: Lake, folder: Path) -> None:
    """Takes the folder away at once, so that nobody reads half of it, and what held it alone with it."""
    lake.staging.mkdir(parents=True, exist_ok=True)
    gone = lake.staging / f"{ON_ITS_WAY_OUT}{secrets.token_hex(8)}"
    folder.rename(gone)
    sync(folder.parent)
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    if folder.parent not in (lake.root, lake.staging):
        with suppress(OSError):  # others lie there
            folder.parent.rmdir()
