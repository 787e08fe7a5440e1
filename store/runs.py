"""Reads which runs were published, what they were made of, and which of them readers see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine, Row

from store.claims import Unit
from store.lake import Lake
from store.tables import current_pointer, night_pointer, publication

if TYPE_CHECKING:
    from store.publication import Publisher  # 14 MB, which who looks at one customer's night does without


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was published. `shown`: readers of its night see it; `current`: those of the newest night do.

    Times are the database's, in UTC; `extract_digest` and `content_key` say what its rows were made of.
    """

    unit: Unit
    run_id: str
    fence: int
    revision: int
    rows: int
    folder: Path
    manifest_sha256: str
    content_key: str
    extract_digest: str
    claimed_at: datetime
    published_at: datetime
    shown: bool
    current: bool

    def __str__(self) -> str:
        return f"{self.unit}, revision {self.revision}, run {self.run_id}"


class Shelf(Protocol):
    """Where runs are kept, as a publisher has it."""

    @property
    def engine(self) -> Engine:
        """Of the database that knows of them."""

    @property
    def lake(self) -> Lake:
        """That their files are in."""


def published_runs(publisher: Publisher, contract: str | None = None) -> tuple[Run, ...]:
    """Every published run of the contract, or of all, that is still kept, the oldest publication first."""
    runs = _runs().order_by(publication.c.fence)
    if contract is not None:
        runs = runs.where(publication.c.contract == contract)
    with publisher.engine.connect() as connection:
        return tuple(_run(row, publisher.lake) for row in connection.execute(runs))


def nights_published(publisher: Publisher, contract: str, kind: str) -> frozenset[date]:
    """Every night that ever was published, also those of which the retention policy kept nothing."""
    run = publication.c
    nights = sa.select(run.as_of).where(run.contract == contract, run.kind == kind, run.state == "published")
    with publisher.engine.connect() as connection:
        return frozenset(connection.scalars(nights.distinct()))


def shown_run(shelf: Shelf, contract: str, kind: str, as_of: date) -> Run | None:
    """The run that readers of the night see, or None where it was never published."""
    night = (night_pointer.c.contract == contract, night_pointer.c.kind == kind, night_pointer.c.as_of == as_of)
    with shelf.engine.connect() as connection:
        row = connection.execute(_runs().where(*night)).one_or_none()
    return _run(row, shelf.lake) if row else None


def _runs() -> sa.Select[Any]:
    """The rows of publications, with whether a pointer of each sort names them."""
    run = publication.c
    joined = publication.outerjoin(night_pointer, night_pointer.c.run_id == run.run_id).outerjoin(
        current_pointer, current_pointer.c.run_id == run.run_id
    )
    shown = night_pointer.c.run_id.is_not(None).label("shown")
    current = current_pointer.c.run_id.is_not(None).label("current")
    kept = sa.and_(run.state == "published", run.folder.is_not(None))  # see store/clearing.py
    return sa.select(publication, shown, current).select_from(joined).where(kept)


def _run(row: Row[Any], lake: Lake) -> Run:
    return Run(
        unit=Unit(row.contract, row.kind, row.as_of, row.known_at),
        run_id=row.run_id,
        fence=row.fence,
        revision=row.revision,
        rows=row.rows,
        folder=lake.root / row.folder,
        manifest_sha256=row.manifest_sha256,
        content_key=row.content_key,
        extract_digest=row.extract_digest,
        claimed_at=row.claimed_at,
        published_at=row.published_at,
        shown=bool(row.shown),
        current=bool(row.current),
    )
