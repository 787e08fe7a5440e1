"""Finds the runs that a night's decision was made in: the list, the scores that it was made of, the list before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from churn.errors import RequestError
from store.lake import MANIFEST, Lake, read_manifest
from store.runs import Run, published_runs
from store.tables import LISTED, SCORED, publication

if TYPE_CHECKING:
    from store.publication import Publisher  # see store/runs.py


@dataclass(frozen=True, slots=True)
class Decision:
    """The runs of a night's decision; `list` is None where none is kept.

    `scores` are those that the list was made of, which readers need not see any more; where they are gone, or there is
    no list, those that readers see, and `of_list` says which. `before` is the newest list that was there when this one
    was made, `before_gone` says that it is kept no longer. `snapshot` is None where it is kept no longer.
    """

    scores: Run
    list: Run | None
    of_list: bool
    before: Run | None
    before_gone: bool
    snapshot: Path | None

    @property
    def buckets(self) -> int:
        """In how many files the night's customers lie."""
        return len(list((self.scores.folder / SCORED).glob("bucket=*.parquet")))


def decision_of(publisher: Publisher, contract: str, as_of: date | None) -> Decision:
    """The runs of a night, by default the newest; RequestError where its scores are not kept."""
    runs = published_runs(publisher, contract)
    day = as_of or max((run.unit.as_of for run in runs if run.unit.kind == SCORED), default=None)
    of_night = [run for run in runs if run.unit.as_of == day]
    listed = next((run for run in of_night if run.unit.kind == LISTED and run.shown), None)
    first = _first_fence(publisher, listed) if listed else 0
    made_of = _made_of(of_night, listed, first) if listed else None
    scores = made_of or next((run for run in of_night if run.unit.kind == SCORED and run.shown), None)
    if scores is None:
        raise RequestError(
            "its scores are not published, or kept no longer",
            where=f"{contract} as of {day or 'any date'}",
            to_do="Ask for a night that is there: see night_status.",
        )
    before = _newest_before(publisher, listed, first) if listed else None
    kept = {run.run_id: run for run in runs}
    return Decision(
        scores=scores,
        list=listed,
        of_list=made_of is not None,
        before=kept.get(before or ""),
        before_gone=before is not None and before not in kept,
        snapshot=snapshot_of(scores, publisher.lake),
    )


def origins_of(publisher: Publisher, runs: Sequence[Run], listed: Run) -> tuple[Run | None, str | None]:
    """The scores among the runs that a list was made of, and the name of the newest list before it, kept or not."""
    night, first = (listed.unit.contract, listed.unit.as_of), _first_fence(publisher, listed)
    of_night = [run for run in runs if (run.unit.contract, run.unit.as_of) == night]
    return _made_of(of_night, listed, first), _newest_before(publisher, listed, first)


def snapshot_of(scores: Run, lake: Lake) -> Path | None:
    """The newest snapshot of the run's facts that was there when the run began; other code may have made others."""
    place = lake.snapshot(scores.unit.contract, scores.unit.as_of, scores.unit.known_at, "")
    manifests = sorted(place.parent.glob(f"{place.name}*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    same = [path for path in manifests if _is_of(path.parent, scores.extract_digest)]
    began = [path for path in same if path.stat().st_mtime <= _seconds(scores)]
    return (began or same)[-1].parent if same else None


def _is_of(snapshot: Path, extract: str | None) -> bool:
    """Whether the snapshot was made of that extract; of one whose manifest is gone or damaged nobody can say so."""
    try:
        return bool(read_manifest(snapshot).facts.get("extract") == extract)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _first_fence(publisher: Publisher, run: Run) -> int:
    """The fence under which rows of this content were published first: a rollback publishes them again."""
    past, unit = publication.c, run.unit
    same = sa.select(sa.func.min(past.fence)).where(
        past.contract == unit.contract,
        past.kind == unit.kind,
        past.as_of == unit.as_of,
        past.state == "published",
        past.content_key == run.content_key,
    )
    with publisher.engine.connect() as connection:
        return int(connection.scalar(same) or run.fence)


def _made_of(runs: Sequence[Run], listed: Run, first: int) -> Run | None:
    """The newest scores from the same facts that were there before the list was."""
    facts = listed.unit.known_at, listed.extract_digest
    before = [
        run
        for run in runs
        if run.unit.kind == SCORED and run.fence < first and (run.unit.known_at, run.extract_digest) == facts
    ]
    return before[-1] if before else None


def _newest_before(publisher: Publisher, listed: Run, first: int) -> str | None:
    """The run of the newest list of an earlier date that was there before this one was, kept or not."""
    past, unit = publication.c, listed.unit
    earlier = (
        sa.select(past.run_id)
        .where(past.contract == unit.contract, past.kind == unit.kind, past.state == "published")
        .where(past.as_of < unit.as_of, past.fence < first)
        .order_by(past.as_of.desc(), past.fence.desc())
        .limit(1)
    )
    with publisher.engine.connect() as connection:
        found: str | None = connection.scalar(earlier)
    return found


def _seconds(run: Run) -> float:
    return run.claimed_at.replace(tzinfo=UTC).timestamp()
