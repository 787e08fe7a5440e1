"""The values that tasks hand to each other: a night, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from churn.gate import Verdict
from churn.metrics import Evaluation
from churn.segments import ALL
from churn.snapshot import Moment
from schemas.manifest import FallbackEntry, Figure, ModelKind

SCORECARD = "scorecard"  # the kind of model whose reasons come with the score


@dataclass(frozen=True, slots=True)
class Night:
    """One as_of to process end to end: which contract, which facts, until when they count, and where they lie.

    `contract` is what the contract is read by (its name, or the path of its file), `base` its own name.
    """

    contract: str
    base: str
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
class Pinned:
    """A segment's champion; `base_rate` is the churn rate that it was calibrated to."""

    segment: str
    version: int
    digest: str
    kind: str
    base_rate: float


@dataclass(frozen=True, slots=True)
class Champions:
    """The models that a night was pinned to, by segment: that of ALL scores whoever has none of his own.

    Those that are no scorecards give reasons with the scores only if `explain` says so.
    """

    pinned: tuple[Pinned, ...]
    explain: bool = False

    def for_segment(self, segment: str) -> Pinned:
        """The champion who scores that segment."""
        by_segment = {champion.segment: champion for champion in self.pinned}
        return by_segment.get(segment, by_segment[ALL])

    @property
    def segments(self) -> tuple[str, ...]:
        """The places that are taken, ALL among them."""
        return tuple(champion.segment for champion in self.pinned)

    @property
    def causes(self) -> tuple[str, ...]:
        """What of the models decides a night's rows: who scores whom, and whether the reasons are told."""
        told = self.explain and any(one.kind != SCORECARD for one in self.pinned)
        return (*(f"{one.segment} {one.version} {one.digest}" for one in self.pinned), *(("reasons",) if told else ()))


@dataclass(frozen=True, slots=True)
class Learning:
    """What may be chosen about how a candidate learns; None leaves it to the contract, or to TrainingPlan."""

    embargo_days: int | None = None
    test_as_of: date | None = None
    sampled_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that was just trained, registered and judged; its figures are of rows that it has not seen.

    `expected` is the version that had the segment's place when it was judged; None where nobody had.
    """

    segment: str
    version: int
    digest: str
    folder: Path
    split: str
    figures: Mapping[str, Figure]
    verdict: Verdict
    expected: int | None


@dataclass(frozen=True, slots=True)
class Course:
    """How candidates are trained and judged: which kind of model, for which segments beside all, and by which gate.

    `fallbacks` are the segments that have too few churners for a model of their own. `explanation` says why a
    candidate's contract may be another than the champion's. `learning` is what was chosen about how they learn,
    `treated` the file of who was called while the labels came. `whole` is the candidate for all, once it is there.
    """

    estimator: ModelKind
    gate: str
    explanation: str = ""
    learning: Learning = Learning()
    treated: Path | None = None
    segments: tuple[str, ...] = ()
    fallbacks: tuple[FallbackEntry, ...] = ()
    whole: Candidate | None = None

    def beside(self, whole: Candidate) -> Course:
        """The course for the candidates of segments, which would be scored by `whole` where it passed the gate."""
        return replace(self, whole=whole)


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a retraining came to: its candidates, the page of each, and whose places have a new champion.

    `fallbacks` are the segments that keep the model of all, having too few churners.
    """

    base: str
    candidates: tuple[Candidate, ...]
    pages: tuple[Path, ...]
    promoted: tuple[str, ...]
    fallbacks: tuple[FallbackEntry, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A change of champion that was asked for: of a base's `segments`, to a version or back.

    `expected` is who is thought to be champion of them now: 0 for nobody, None for whoever is.
    """

    base: str
    version: int | None
    segments: tuple[str, ...]
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A publication of a night, `scores` or `outreach`; `new` unless an earlier run had published the same."""

    kind: str
    run_id: str
    revision: int
    rows: int
    folder: Path
    new: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person wants to know of a night: counts, the top of the list, its teams, and where everything is.

    `objections` are the gate's to champions that score all the same, and why the list cannot name anybody. `parity`
    says in words whether the service scores the night's customers alike; it is empty where nobody asked.
    """

    night: Night
    scores: Result
    outreach: Result
    bands: dict[str, int]
    statuses: dict[str, int]
    quarantined: int
    top: tuple[dict[str, object], ...]
    places: dict[str, str]
    teams: tuple[dict[str, object], ...] = ()
    evaluation: Evaluation | None = None
    objections: tuple[str, ...] = ()
    parity: str = ""
