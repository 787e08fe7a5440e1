"""The values that tasks hand to each other: a night, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Night:
    """One as_of to process end to end: which contract, which facts, and until when they count."""

    contract: str
    as_of: date
    known_at: datetime
    extract: str  # the folder of the extract
    extract_digest: str
    policy: str


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that a night was pinned to."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Published:
    """One publication: where it is, how many rows, and whether this run made it or found it."""

    run_id: str
    kind: str
    folder: str
    rows: int
    new: bool
