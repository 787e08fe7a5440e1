"""Reads what earlier lists say of those who were in a wave: the newest, and behind it all that a rule looks back on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from churn.errors import AuditFailed
from churn.past import REMEMBERED, latest
from schemas.outreach import STATUSES
from store.lake import read_parquet
from store.publication import Publisher
from store.runs import Run, published_runs
from store.tables import publication


def remembered(publisher: Publisher, before: str, since: date, threads: int) -> pa.Table:
    """REMEMBERED, with a row for each customer who was in a wave after that date, by the newest list that says so.

    `before` is the run of the newest list. The others tell of those who were not scored on its night, but lately.
    AuditFailed where a list has lost its files.
    """
    runs = list(_back_from(published_runs(publisher), before, since))
    with ThreadPoolExecutor(threads) as at_once:
        return latest(list(at_once.map(lambda run: _waves_in(run, since), runs)))


def lost(publisher: Publisher, before: Run, since: date) -> tuple[date, ...]:
    """The dates after `since` of lists that `before`, the newest one, had behind it and that are kept no longer."""
    run, unit = publication.c, before.unit
    behind = (
        sa.select(run.as_of, run.folder)
        .where(run.contract == unit.contract, run.kind == unit.kind, run.state == "published")
        .where(run.as_of > since, run.as_of < unit.as_of, run.fence < before.fence)
        .order_by(run.fence)
    )
    with publisher.engine.connect() as connection:
        last = {row.as_of: row.folder for row in connection.execute(behind)}
    return tuple(sorted(as_of for as_of, folder in last.items() if folder is None))


def _back_from(runs: tuple[Run, ...], before: str, since: date) -> Iterator[Run]:
    """The list, and of each earlier date the last one that was there before it; the newest date first."""
    newest = next(run for run in runs if run.run_id == before)
    behind = {
        run.unit.as_of: run
        for run in runs  # the oldest publication first
        if (run.unit.contract, run.unit.kind) == (newest.unit.contract, newest.unit.kind)
        and since < run.unit.as_of < newest.unit.as_of
        and run.fence < newest.fence
    }
    yield newest
    for as_of in sorted(behind, reverse=True):
        yield behind[as_of]


def _waves_in(run: Run, since: date) -> pa.Table:
    files = sorted((run.folder / STATUSES.name).glob("*.parquet"))
    if not files:
        raise AuditFailed(
            "its list is published and has no files, so who rests since then is not known",
            where=str(run),
            to_do="Write them again from the tables: churn verify --rebuild files.",
        )
    rows = read_parquet(files, list(REMEMBERED))
    return rows.filter(pc.greater(rows["wave_since"], pa.scalar(since, pa.date32())))
