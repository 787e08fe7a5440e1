"""Reads the retention policy, and finds what it keeps no longer: runs, what they were made from, what died half-way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from churn.errors import PolicyError
from churn.retention import Held, parse_retention, runs_to_go
from schemas.retention import Retention
from store.claims import database_now, under_way
from store.decisions import origins_of, snapshot_of
from store.handovers import waves_sent
from store.lake import Lake, bytes_in
from store.partitions import run_table
from store.publication import DRAFTS, Publisher
from store.runs import Run, published_runs
from store.strict_yaml import fields_of
from store.tables import FENCE, LISTED, TABLES_OF, publication

RETENTIONS = Path(__file__).parent.parent / "schemas" / "retentions"
DEFAULT = "default"
CUSTOMERS = "-customers.parquet"  # how the files end that say what was known of a wave's members


@dataclass(frozen=True, slots=True)
class Going:
    """Something that is kept no longer, why, and how much it frees. Of a run there are rows and a fence, too.

    `in_sight`: readers see the run until now, and may be at it; it goes once the grace has passed since they cannot.
    `bytes` are those of its files and, in PostgreSQL, of its partitions; SQLite uses the place of rows again.
    """

    what: str
    why: str
    folder: Path
    bytes: int
    rows: int = 0
    run_id: str = ""
    fence: int = 0
    in_sight: bool = False

    @property
    def frees(self) -> str:
        """How much it frees, in words."""
        return f"{self.bytes / 1e6:,.1f} MB and {self.rows:,} rows" if self.rows else f"{self.bytes / 1e6:,.1f} MB"

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.frees}"


def read_retention(name_or_path: str = DEFAULT) -> Retention:
    """The policy of that name in schemas/retentions/, or in that file; PolicyError where it is missing or wrong."""
    shipped = RETENTIONS / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot be read: {error}", where=str(path), to_do="Name a file, or `default`.") from None
    return parse_retention(fields_of(text, str(path)), str(path))


def what_goes(publisher: Publisher, retention: Retention) -> tuple[Going, ...]:
    """All that the policy keeps no longer, runs first; removes nothing."""
    with publisher.engine.connect() as connection:
        now = database_now(connection)
        underway = under_way(connection)
        runs = [
            *_out_of_sight(publisher, connection, retention, now),
            *_runs(publisher, connection, retention, underway, now),
        ]
    in_use = {str(run.extract_digest) for run in underway}
    workings = _workings(publisher.lake, retention, in_use, _snapshots_told_of(publisher, {run.run_id for run in runs}))
    waves = _customers_of_waves(publisher.lake, retention, now.date())
    return (*runs, *workings, *waves, *_leftovers(publisher.lake, retention, {run.run_id for run in underway}))


def _runs(
    publisher: Publisher, connection: Connection, retention: Retention, underway: Iterable[Row[Any]], now: datetime
) -> Iterator[Going]:
    """The runs that the policy keeps no longer; a night at which somebody is working is left alone."""
    busy = {(run.contract, run.kind, run.as_of) for run in underway}
    runs = {run.run_id: run for run in published_runs(publisher)}
    oldest = now.date() - timedelta(days=retention.sent_days)
    in_use = {(base, as_of) for base, as_of in waves_sent(connection) if as_of >= oldest}
    sent = _behind_sent_lists(publisher, tuple(runs.values()), in_use)
    going = runs_to_go(_held(runs.values(), sent), retention, now)
    for run_id, why in going.items():
        run = runs[run_id]
        if (run.unit.contract, run.unit.kind, run.unit.as_of) not in busy:
            yield _run_going(connection, run, why)


def _behind_sent_lists(publisher: Publisher, runs: Sequence[Run], sent: set[tuple[str, date]]) -> set[str]:
    """The names of the lists that were sent, of their scores and of the lists before them: receipts ask for all three.

    `sent` are the bases and dates of such lists that the policy still keeps for that.
    """
    names = set()
    for listed in (run for run in runs if run.unit.kind == LISTED and (run.unit.contract, run.unit.as_of) in sent):
        scores, before = origins_of(publisher, runs, listed)
        names |= {listed.run_id, before or "", scores.run_id if scores else ""}
    return names


def _snapshots_told_of(publisher: Publisher, going: set[str]) -> set[Path]:
    """The snapshots of lists that stay together with their scores: a receipt tells of both by the customers' rows."""
    runs = [run for run in published_runs(publisher) if run.run_id not in going]
    made_of = (origins_of(publisher, runs, run)[0] for run in runs if run.unit.kind == LISTED)
    found = (snapshot_of(scores, publisher.lake) for scores in made_of if scores)
    return {folder for folder in found if folder}


def _held(runs: Iterable[Run], sent: set[str]) -> list[Held]:
    return [
        Held(
            run_id=run.run_id,
            base=run.unit.contract,
            kind=run.unit.kind,
            as_of=run.unit.as_of,
            published_at=run.published_at,
            shown=run.shown,
            current=run.current,
            sent=run.run_id in sent,
        )
        for run in runs
    ]


def _out_of_sight(publisher: Publisher, connection: Connection, retention: Retention, now: datetime) -> Iterator[Going]:
    """The runs of which readers see nothing any more since the grace, and of which something is left."""
    run, young = publication.c, now - timedelta(hours=retention.grace_hours)
    retired = run.state == "published", run.folder.is_(None), sa.or_(run.retired_at.is_(None), run.retired_at <= young)
    for row in connection.execute(sa.select(publication).where(*retired).order_by(run.fence)):
        what = f"{row.kind} of {row.contract} as of {row.as_of}, revision {row.revision}, run {row.run_id}"
        folder = publisher.lake.run(row.contract, row.kind, row.as_of, row.run_id)
        rows, size = _kept_in_tables(connection, row.kind, row.fence)
        if rows or size or folder.is_dir():
            why = "readers lost sight of it before"
            yield Going(what, why, folder, size + bytes_in(folder), rows, row.run_id, row.fence)


def _run_going(connection: Connection, run: Run, why: str) -> Going:
    rows, size = _kept_in_tables(connection, run.unit.kind, run.fence)
    freed = size + bytes_in(run.folder)
    return Going(str(run), why, run.folder, freed, rows, run.run_id, run.fence, in_sight=True)


def _kept_in_tables(connection: Connection, kind: str, fence: int) -> tuple[int, int]:
    """The rows that the database holds of a run, and the bytes of its partitions; SQLite counts none for rows."""
    rows = size = 0
    for table in TABLES_OF[kind]:
        rows += connection.scalar(sa.select(sa.func.count()).select_from(table).where(table.c[FENCE] == fence)) or 0
        if connection.dialect.name != "sqlite":
            partition = {"name": run_table(table, fence)}
            size += connection.scalar(sa.text("SELECT pg_total_relation_size(to_regclass(:name))"), partition) or 0
    return rows, size


def _workings(lake: Lake, retention: Retention, in_use: set[str], told_of: set[Path]) -> Iterator[Going]:
    """The extracts and the folders of snapshots and lessons that are older than the policy keeps them.

    Each base's newest extract stays, since the next night's may be the same, and so do those that a run is made from,
    whose digests are `in_use`, and the snapshots that receipts are `told_of`.
    """
    oldest = time.time() - timedelta(days=retention.working_days).total_seconds()
    why = f"it is more than {retention.working_days} days old"
    for base in _folders(lake.root / "extracts"):
        for folder in sorted(_folders(base), key=_written)[:-1]:
            if _written(folder) < oldest and not any(digest.startswith(folder.name) for digest in in_use):
                yield _folder_going(f"extract {base.name}/{folder.name}", why, folder)
    for night in (night for base in _folders(lake.root / "snapshots") for night in _folders(base)):
        for folder in _folders(night):
            if _written(folder) < oldest and folder not in told_of:
                yield _folder_going(f"snapshot {night.parent.name}/{night.name}/{folder.name}", why, folder)


def _customers_of_waves(lake: Lake, retention: Retention, today: date) -> Iterator[Going]:
    """What was known of those in waves as old as no list that was sent: nobody has to know it of them any more."""
    oldest = today - timedelta(days=retention.sent_days)
    for path in sorted((lake.root / "waves").glob(f"*/as_of=*/*{CUSTOMERS}")):
        if date.fromisoformat(path.parent.name.removeprefix("as_of=")) < oldest:
            what = f"customers of a wave {path.parent.parent.name}/{path.parent.name}"
            yield _folder_going(what, f"it is more than {retention.sent_days} days old", path)


def _leftovers(lake: Lake, retention: Retention, in_flight: set[str]) -> Iterator[Going]:
    """What died in the staging folder so long ago that nobody works on it, but for what runs under way write there."""
    oldest = time.time() - timedelta(hours=retention.grace_hours).total_seconds()
    for path in _entries(lake.staging):
        with suppress(FileNotFoundError):  # whoever works there has just finished
            if _written(path) < oldest and path.name.removesuffix(DRAFTS) not in in_flight:
                yield _folder_going(f"leftover {path.name}", "nobody finished it", path)


def _folder_going(what: str, why: str, folder: Path) -> Going:
    return Going(what, why, folder, bytes_in(folder))


def _written(folder: Path) -> float:
    """When anything in the folder was last written."""
    return max(path.stat().st_mtime for path in _all_in(folder))


def _all_in(folder: Path) -> Iterator[Path]:
    if folder.exists():
        yield from (folder, *folder.rglob("*"))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
