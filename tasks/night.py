"""The values that tasks hand to each other: a night, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from churn.snapshot import Moment


@dataclass(frozen=True, slots=True)
class Night:
    """One as_of to process end to end: which contract, which facts, until when they count, and where they lie."""

    contract: str
    as_of: date
    known_at: datetime
    extract: Path
    extract_digest: str
    snapshot: Path
    buckets: int

    @property
    def when(self) -> Moment:
        """The date and the moment, as the snapshot takes them."""
        return Moment(self.as_of, self.known_at)

    @property
    def every_bucket(self) -> range:
        """The numbers of the buckets."""
        return range(self.buckets)


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that a night was pinned to."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Scored:
    """Where the published scores of a night are; `new` unless an earlier run had published the same."""

    run_id: str
    folder: Path
    rows: int
    new: bool
