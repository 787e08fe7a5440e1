"""The values that the registry keeps and is asked by: versions, verdicts, changes of champion, and wishes for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from churn.segments import ALL

PROMOTION, ROLLBACK = "promotion", "rollback"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model; a deleted one keeps its row and has no artifact any more. Times are naive and in UTC."""

    contract: str
    version: int
    digest: str
    registered_at: datetime
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    why_deleted: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change of champion; `overridden` is the gate's objection that did not stop it. Times are naive and in UTC."""

    happened_at: datetime
    contract: str
    segment: str
    kind: str
    from_version: int | None
    to_version: int
    who: str
    why: str
    overridden: str | None = None


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """What the gate said of a version that wants to be a segment's champion, compared with `against_version`.

    `rule` is the first that refused, `says` the findings in sentences; the registry's clock gives `judged_at`.
    """

    contract: str
    version: int
    segment: str
    against_version: int | None
    gate: str
    gate_digest: str
    passed: bool
    rule: str | None
    says: str
    judged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A wish: `version` as champion of all of `segments` at once, where `expected` (or nobody) is champion now.

    `expected` is one version for every segment, or each segment's own; a segment that is not in it has nobody.
    `override` promotes without the gate's consent; the event then keeps what it objected.
    """

    contract: str
    version: int
    expected: Mapping[str, int | None] | int | None
    who: str
    why: str
    segments: tuple[str, ...] = (ALL,)
    override: bool = False

    def expected_in(self, segment: str) -> int | None:
        """Who is thought to be the segment's champion now; None is nobody."""
        return _one_of(self.expected, segment)


@dataclass(frozen=True, slots=True)
class Rollback:
    """A wish: the places of all of `segments` at once back to their earlier champions `to`.

    Both numbers are one version for every segment, or each segment's own. Without `to` it is who was champion before,
    without `expected` whoever is champion now gives way.
    """

    contract: str
    who: str
    why: str
    segments: tuple[str, ...] = (ALL,)
    to: Mapping[str, int] | int | None = None
    expected: Mapping[str, int | None] | int | None = None

    def to_in(self, segment: str) -> int | None:
        """Who shall be the segment's champion again; None is the one before."""
        return _one_of(self.to, segment)

    def expected_in(self, segment: str) -> int | None:
        """Who is thought to be the segment's champion now; None is whoever is."""
        return _one_of(self.expected, segment)

    @property
    def earlier(self) -> tuple[int, ...]:
        """The versions that `to` names."""
        named = self.to.values() if isinstance(self.to, Mapping) else (self.to,)
        return tuple(sorted({version for version in named if version is not None}))


def _one_of(numbers: Mapping[str, int | None] | Mapping[str, int] | int | None, segment: str) -> int | None:
    return numbers.get(segment) if isinstance(numbers, Mapping) else numbers
