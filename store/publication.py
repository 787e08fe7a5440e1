"""Publishes a night all at once: claim it, seal its files, load its rows unseen, audit both, move one pointer.

The commit that moves the pointer is the only moment at which readers of the database see anything new. Until then a
run may die anywhere, and readers keep what they had. A fence, which grows with every claim, keeps a run that was
taken over from writing later. The file `_CURRENT` follows the database's pointer for those who read the lake.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from churn.errors import AuditFailed
from churn.night import Due
from store import lake as files
from store.claims import (
    BEAT,
    LEASE,
    Claim,
    Content,
    Keeping,
    Unit,
    abandon_dead,
    change_held,
    database_now,
    end,
    keeping,
    latest_revision,
    move_pointers,
    new_claim,
    new_failure,
    renew,
    shown_from,
)
from store.fault_points import reached
from store.handovers import require_unsent
from store.lake import Lake, Manifest
from store.loading import Load
from store.partitions import drop_quietly, fences_in
from store.settings import Settings
from store.structure import create_all, make_missing_views
from store.tables import (
    FENCE,
    IN_FLIGHT,
    TABLES_OF,
    alone,
    answering,
    current_pointer,
    engine_for,
    night_pointer,
    permitted,
    publication,
)
from store.totals import differing, totals_of_files, totals_of_table

CURRENT = "_CURRENT"
DRAFTS = "-drafts"


@dataclass(frozen=True, slots=True)
class Published:
    """A run that readers see, or saw; `revision` counts the publications of its night from 1."""

    unit: Unit
    run_id: str
    fence: int
    content_key: str
    revision: int
    rows: int
    folder: Path
    manifest_sha256: str
    published_at: datetime


def open_publisher(settings: Settings) -> Publisher:
    """The publisher of the settings' database and lake; makes the tables that are not there, and `_CURRENT` true.

    StoreUnreachable where the database does not answer, SettingsError where its user may not make them.
    """
    engine = engine_for(settings.database_url)
    with answering(engine), permitted():
        create_all(engine)
    publisher = Publisher(engine, Lake(settings.lake), Due(settings.due, settings.zone))
    with suppress(SQLAlchemyError, OSError):  # not everybody may write the files, or read the pointers
        publisher.reconcile_all()
    return publisher


@dataclass(frozen=True, slots=True)
class Publisher:
    """The steps of a publication, in order. Each may be repeated after a failure, and then finds what was done."""

    engine: Engine
    lake: Lake
    due: Due

    def claim(
        self, unit: Unit, content: Content, *, lease: timedelta = LEASE, force: bool = False
    ) -> Claim | Published:
        """The right to publish the unit, or its publication if readers see this very content, unless forced to.

        AlreadyRunning names the run that holds the unit; one whose lease ran out is abandoned and taken over.
        """
        make_missing_views(self.engine)
        with alone(self.engine) as connection:
            shown = None if force else shown_from(connection, unit, content.key)
            claim = self._published(shown) if shown else new_claim(connection, unit, content, lease, forced=force)
            reached("claiming")
        reached("claimed")
        if shown:
            self.reconcile(unit.contract, unit.kind)  # the run may have died between its commit and the file
        self._tidy()
        return claim

    def stage(self, claim: Claim) -> Path:
        """The folder to write the run's files into: `<table>/<any name>.parquet` for each table of its kind."""
        files.make_folder(self.lake.staging)
        folder = self._staged(claim.run_id)
        for table in TABLES_OF[claim.unit.kind]:
            (folder / table.name).mkdir(parents=True, exist_ok=True)
        reached("staging")
        return folder

    def drafts(self, claim: Claim) -> Path:
        """The folder for what the run writes on the way to its files; gone when the run has ended, however it did."""
        folder = self._drafts(claim.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def renew(self, claim: Claim, lease: timedelta = LEASE) -> None:
        """Keeps the claim for another while; Fenced if it was lost."""
        renew(self.engine, claim, lease)

    def keeping(
        self, claim: Claim, *, lease: timedelta = LEASE, beat: timedelta = BEAT
    ) -> AbstractContextManager[Keeping]:
        """Renews the claim now, and while the work inside goes on; Fenced, now or at its end, if the claim was lost."""
        return keeping(self.engine, claim, lease=lease, beat=beat)

    def seal(self, claim: Claim) -> Manifest:
        """Moves the staged files to their place for good, under a manifest of their rows and digests; or Fenced."""
        with self.keeping(claim):
            manifest = self._settled(claim)
        facts = {
            "rows": manifest.rows_in(TABLES_OF[claim.unit.kind][0].name),
            "manifest_sha256": files.sha256_of(self._place(claim) / files.MANIFEST),
            "folder": self._place(claim).relative_to(self.lake.root).as_posix(),
        }
        with self.engine.begin() as connection:
            change_held(connection, claim, state="staged", **facts)
        reached("sealed")
        return manifest

    def already_shown(self, claim: Claim) -> Published | None:
        """The run that readers of the night see, if the sealed files are like its own; the claim is given up then.

        So other code, or a model that was trained anew, that comes to the same rows makes no revision. None where
        the rows are others, or the claim was forced.
        """
        unit = claim.unit
        shown = None if claim.forced else self.published(unit.contract, unit.kind, unit.as_of)
        if shown is None or not self._has_same_rows(shown, claim):
            return None
        self._end(claim, "abandoned", f"run {shown.run_id}, which readers see, has the same rows")
        return shown

    def _has_same_rows(self, shown: Published, claim: Claim) -> bool:
        manifest = shown.folder / files.MANIFEST
        whole = manifest.is_file() and files.sha256_of(manifest) == shown.manifest_sha256
        return whole and files.read_manifest(shown.folder).digest == files.read_manifest(self._place(claim)).digest

    def load(self, claim: Claim) -> None:
        """Loads the sealed files into the tables under the claim's fence, where no view shows them yet; or Fenced."""
        place, load = self._place(claim), Load(self.engine, claim)
        with self.keeping(claim):
            manifest = files.read_manifest(place)
            for table in TABLES_OF[claim.unit.kind]:
                load.table(table, [place / file.path for file in manifest.files_in(table.name)])

    def audit(self, claim: Claim) -> None:
        """AuditFailed unless the files have the manifest's bytes, and the tables as many rows and values as the files.

        The values are held against each other by their number and sum for each column, see store/totals.py.
        """
        place = self._place(claim)
        manifest = files.read_manifest(place)
        problems = [f"file {path} is not as it was written" for path in files.differences(manifest, place)]
        with self.engine.connect() as connection:
            for table in TABLES_OF[claim.unit.kind]:
                loaded, written = _count(connection, table, claim.fence), manifest.rows_in(table.name)
                if loaded != written:
                    problems.append(f"table {table.name} holds {loaded} rows and the files {written}")
                elif not problems:
                    wrong = self._other_values(connection, table, claim, manifest)
                    problems += [f"table {table.name} has other values of {name} than the files" for name in wrong]
        if problems:
            raise AuditFailed("; ".join(problems), where=str(claim.unit), to_do="Run the night again.")

    def _other_values(self, connection: Connection, table: sa.Table, claim: Claim, manifest: Manifest) -> list[str]:
        paths = [self._place(claim) / file.path for file in manifest.files_in(table.name)]
        return differing(totals_of_table(connection, table, claim.fence), totals_of_files(paths))

    def publish(self, claim: Claim) -> Published:
        """Audits both copies, then lets readers see the run. The commit of this one transaction is the publication.

        A date older than the newest one changes what readers of that date see, and nothing for those of the newest.
        Fenced if a younger run has the night; AuditFailed where the copies differ.
        """
        if self._run(claim).state != "published":
            self._show(claim)
        self.reconcile(claim.unit.contract, claim.unit.kind)
        self._tidy()
        return self._published(self._run(claim))

    def record_failure(self, unit: Unit, reason: str, state: str = "failed") -> None:
        """Notes a run that failed, or was `rejected`, before it had claimed the night, so that `night_status` tells."""
        with alone(self.engine) as connection:
            new_failure(connection, unit, state, reason)

    def reject(self, claim: Claim, reason: str) -> None:
        """Ends the run without publishing, because its rows are not good enough; readers keep what they have.

        A run that was published or taken over stays as it is, and only what it left behind is removed.
        """
        self._end(claim, "rejected", reason)

    def release(self, claim: Claim, reason: str) -> None:
        """Ends the run without publishing, because it failed, so that the next one need not wait for its lease.

        A run that was published or taken over stays as it is, and only what it left behind is removed.
        """
        self._end(claim, "failed", reason)

    def current(self, contract: str, kind: str) -> Published | None:
        """The newest published night, as readers of the views see it."""
        shown = current_pointer.c
        return self._shown(current_pointer, shown.contract == contract, shown.kind == kind)

    def published(self, contract: str, kind: str, as_of: date) -> Published | None:
        """The latest revision of a night, or None where it was never published."""
        shown = night_pointer.c
        return self._shown(night_pointer, shown.contract == contract, shown.kind == kind, shown.as_of == as_of)

    def newest_before(self, contract: str, kind: str, as_of: date) -> Published | None:
        """The newest published night that is older than the date, or None where there is none."""
        shown = night_pointer.c
        return self._shown(night_pointer, shown.contract == contract, shown.kind == kind, shown.as_of < as_of)

    def earlier_from(self, unit: Unit, extract_digest: str) -> date | None:
        """The newest earlier date whose publication of this kind came from the same extract, or None."""
        run = publication.c
        same = sa.and_(run.contract == unit.contract, run.kind == unit.kind, run.extract_digest == extract_digest)
        earlier = sa.select(sa.func.max(run.as_of)).where(same, run.state == "published", run.as_of < unit.as_of)
        with self.engine.connect() as connection:
            found: date | None = connection.scalar(earlier)
        return found

    def reconcile_all(self) -> int:
        """Reconciles every base and kind whose `_CURRENT` is behind; returns how many were."""
        with self.engine.connect() as connection:
            pointers = connection.execute(sa.select(current_pointer.c.contract, current_pointer.c.kind)).all()
        return sum(self.reconcile(*which) for which in pointers if not self._is_true(*which))

    def reconcile(self, contract: str, kind: str) -> bool:
        """Makes the lake's `_CURRENT` follow the database's pointer; whether it had to be changed.

        A process that is paused here may lose its lock and then overwrite a newer pointer. It learns of that from its
        failed transaction, or by looking at the file once more, and then writes it again.
        """
        try:
            changed = self._followed(contract, kind)
        except DBAPIError:
            changed = self._followed(contract, kind)
        if changed and not self._is_true(contract, kind):
            self._followed(contract, kind)
        return changed

    def _followed(self, contract: str, kind: str) -> bool:
        path = self.lake.published(contract, kind) / CURRENT
        with alone(self.engine) as turn:  # so that of two the one with the older pointer cannot write last
            for left in files.left_beside(path):
                left.unlink()
            shown = self.current(contract, kind)
            if shown is None or self._is_true(contract, kind):
                return False
            with files.replacing(path) as beside:
                beside.write_text(_pointer_text(shown, self.lake), encoding="utf-8")
                reached("pointing")
                turn.execute(sa.select(1))  # fails where the turn is over
            reached("pointed")
            return True

    def _is_true(self, contract: str, kind: str) -> bool:
        """Whether `_CURRENT` says what the database's pointer says."""
        shown, path = self.current(contract, kind), self.lake.published(contract, kind) / CURRENT
        return shown is not None and path.is_file() and path.read_text("utf-8") == _pointer_text(shown, self.lake)

    def sweep(self) -> int:
        """Abandons dead runs, and removes whatever ended runs left that no reader ever saw; gives how much that was.

        That is the drafts and staged files of all, and the sealed files and rows of those that were not published. It
        looks for them anew each time, since a run that was taken over may have written before it knew.
        """
        with alone(self.engine) as connection:
            abandon_dead(connection)
        return self._remove_leftovers()

    def _remove_leftovers(self) -> int:
        with self.engine.connect() as connection:
            ended = connection.execute(sa.select(publication).where(publication.c.state.not_in(IN_FLIGHT))).all()
        unseen = [run for run in ended if run.state != "published"]
        removed = 0
        for folder in (*self._staged_by(ended), *self._sealed_by(unseen)):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
            reached("sweeping")
        return removed + sum(drop_quietly(self.engine, table, fence) for table, fence in self._loaded_by(unseen))

    def _staged_by(self, runs: Iterable[Row[Any]]) -> Iterator[Path]:
        names = {run.run_id for run in runs}
        folders = list(self.lake.staging.iterdir()) if self.lake.staging.is_dir() else []
        yield from (folder for folder in folders if folder.name.removesuffix(DRAFTS) in names)

    def _sealed_by(self, runs: Iterable[Row[Any]]) -> Iterator[Path]:
        places = (self.lake.run(run.contract, run.kind, run.as_of, run.run_id) for run in runs)
        yield from (place for place in places if place.is_dir())

    def _loaded_by(self, runs: Iterable[Row[Any]]) -> Iterator[tuple[sa.Table, int]]:
        fences = {run.fence for run in runs}
        for table in (table for tables in TABLES_OF.values() for table in tables):
            with self.engine.connect() as connection:
                left = fences & set(fences_in(connection, table))
            yield from ((table, fence) for fence in sorted(left))

    def _tidy(self) -> None:
        """Removes leftovers if that can be done now; what cannot is left to the next run, and undoes nothing."""
        with suppress(SQLAlchemyError, OSError):
            self._remove_leftovers()

    def _staged(self, run_id: str) -> Path:
        return self.lake.staging / run_id

    def _drafts(self, run_id: str) -> Path:
        return self.lake.staging / f"{run_id}{DRAFTS}"

    def _show(self, claim: Claim) -> None:
        with self.keeping(claim):
            self.audit(claim)
        reached("audited")
        self._swap(claim)

    def _swap(self, claim: Claim) -> None:
        """The one commit point."""
        with alone(self.engine) as connection:
            now, revision = database_now(connection), 1 + latest_revision(connection, claim.unit)
            if revision > 1:
                require_unsent(connection, claim.unit)
            seen = {"published_at": now, "behind_from": self.due.behind_from(claim.unit.as_of)}
            change_held(connection, claim, state="published", revision=revision, ended_at=now, **seen)
            move_pointers(connection, claim)
            reached("showing")
        reached("shown")

    def _settled(self, claim: Claim) -> Manifest:
        """The manifest of the run's files, which are moved to their place unless they lie there already."""
        place, staged = self._place(claim), self._staged(claim.run_id)
        if not place.is_dir():
            staged.mkdir(parents=True, exist_ok=True)
            files.write_manifest(files.describe(staged, manifest_facts(claim.unit, claim.content_key)), staged)
            reached("described")
            files.sync_whole(staged)
            reached("synced")
            files.move_whole(staged, place)
            reached("moved")
        return files.read_manifest(place)

    def _place(self, claim: Claim) -> Path:
        unit = claim.unit
        return self.lake.run(unit.contract, unit.kind, unit.as_of, claim.run_id)

    def _end(self, claim: Claim, state: str, reason: str) -> None:
        with self.engine.begin() as connection:
            end(connection, claim, state, reason)
        self._tidy()

    def _shown(self, pointer: sa.Table, *which: sa.ColumnElement[bool]) -> Published | None:
        """The newest of the nights that the pointer shows."""
        runs = sa.select(publication).join(pointer, pointer.c.run_id == publication.c.run_id).where(*which)
        with self.engine.connect() as connection:
            row = connection.execute(runs.order_by(publication.c.as_of.desc()).limit(1)).one_or_none()
        return self._published(row) if row else None

    def _run(self, claim: Claim) -> Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(publication).where(publication.c.run_id == claim.run_id)).one()

    def _published(self, row: Row[Any]) -> Published:
        return Published(
            unit=Unit(row.contract, row.kind, row.as_of, row.known_at),
            run_id=row.run_id,
            fence=row.fence,
            content_key=row.content_key,
            revision=row.revision,
            rows=row.rows,
            folder=self.lake.root / row.folder,
            manifest_sha256=row.manifest_sha256,
            published_at=row.published_at,
        )


def content_key(*causes: str) -> str:
    """One digest of all that decides a run's rows: snapshot, model, policy, code."""
    return hashlib.sha256("\n".join(causes).encode()).hexdigest()


def manifest_facts(unit: Unit, content_key: str) -> dict[str, Any]:
    """What a run's manifest says beside its files: nothing that differs when the same night is written again."""
    return {
        "contract": unit.contract,
        "kind": unit.kind,
        "as_of": unit.as_of.isoformat(),
        "known_at": unit.known_at.isoformat(),
        "content_key": content_key,
    }


def current_folder(lake: Lake, contract: str, kind: str) -> Path | None:
    """The newest published run's folder for those who read files alone, or None before the first publication.

    AuditFailed where its manifest is not the one that was published.
    """
    path = lake.published(contract, kind) / CURRENT
    if not path.is_file():
        return None
    pointer = json.loads(path.read_text(encoding="utf-8"))
    folder = lake.root / str(pointer["folder"])
    if files.sha256_of(folder / files.MANIFEST) != pointer["manifest_sha256"]:
        raise AuditFailed("the manifest is not the one that was published", where=str(folder), to_do="Restore the run.")
    return folder


def _pointer_text(shown: Published, lake: Lake) -> str:
    pointer = {
        "as_of": shown.unit.as_of.isoformat(),
        "folder": shown.folder.relative_to(lake.root).as_posix(),
        "manifest_sha256": shown.manifest_sha256,
        "run_id": shown.run_id,
    }
    return json.dumps(pointer, indent=1, sort_keys=True) + "\n"


def _count(connection: Connection, table: sa.Table, fence: int) -> int:
    counted = sa.select(sa.func.count()).select_from(table).where(table.c[FENCE] == fence)
    return connection.execute(counted).scalar_one()
