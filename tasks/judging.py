"""Judges a candidate by the gate, beside the champion of its place, and keeps the verdict in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from churn.errors import ArtifactRefused
from churn.gate import ContractRead, Finding, Opponent, Verdict, challenger_of, judge
from churn.judging import Judged, compare
from churn.scoring import require_features
from churn.segments import ALL
from churn.training import Trained
from churn.training.calibration import log_odds_of
from schemas.contract import Contract
from schemas.gate import Gate
from store.artifacts import load_model
from store.gates import read_gate
from store.registry import VerdictEntry, Version, open_registry
from store.settings import current_settings
from tasks.night import Candidate, Course


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a candidate, the version that it was compared with, and the champion of its own place then."""

    verdict: Verdict
    against: int | None
    expected: int | None


def judged(trained: Trained, kept: Version, contract: Contract, course: Course) -> Judgement:
    """What the gate says of a model that was just trained and is kept as that version; the registry keeps it too.

    Without a champion of its segment it is compared with who would score the segment without it: the candidate for all
    of the same course where that passed the gate, else the champion of all.
    """
    registry, gate = open_registry(current_settings()), read_gate(course.gate)
    champions = registry.resolve_all(contract.name)
    own = champions.get(trained.segment)
    rival = own or _for_all(course, champions)
    gap = _probe_difference(trained, kept.digest)
    try:
        opponent = _opponent(trained, rival.digest, contract) if rival else None
        challenger = challenger_of(
            trained, contract, probe_difference=gap, champion=opponent, explanation=course.explanation
        )
        verdict = judge(challenger, gate)
    except ArtifactRefused as refused:
        verdict = Verdict((Finding("contract", False, f"The champion cannot be compared with: {refused.what}."),))
    judgement = Judgement(verdict, rival.version if rival else None, own.version if own else None)
    registry.record_verdict(_entry(judgement, kept, trained.segment, gate))
    return judgement


def _for_all(course: Course, champions: Mapping[str, Version]) -> Candidate | Version | None:
    """Who will score all that have no champion of their own."""
    passed = course.whole is not None and course.whole.verdict.passed
    return course.whole if passed else champions.get(ALL)


def _opponent(trained: Trained, digest: str, contract: Contract) -> Opponent:
    champion, rows = load_model(digest, current_settings()), _unseen(trained)
    require_features(champion.model, contract)
    comparison = compare(
        rows,
        log_odds_of(champion.model, rows.rows),
        contract,
        champion_learnt_until=champion.manifest.training.test_as_of,
    )
    read = ContractRead(champion.manifest.contract, champion.manifest.contract_digest)
    return Opponent(champion.manifest.kind, read, comparison)


def _probe_difference(trained: Trained, digest: str) -> float:
    """How far the model that would be used, read back from its artifact, lies from the trained one on the test rows."""
    rows = _unseen(trained).rows
    loaded = load_model(digest, current_settings()).model
    return float(np.abs(log_odds_of(loaded, rows) - log_odds_of(trained.model, rows)).max())


def _unseen(trained: Trained) -> Judged:
    return cast(Judged, trained.judged)  # only a model made by hand has none


def _entry(judgement: Judgement, kept: Version, segment: str, gate: Gate) -> VerdictEntry:
    verdict = judgement.verdict
    refused = verdict.refused_by
    return VerdictEntry(
        contract=kept.contract,
        version=kept.version,
        segment=segment,
        against_version=judgement.against,
        gate=gate.name,
        gate_digest=gate.digest,
        passed=verdict.passed,
        rule=refused.rule if refused else None,
        says=refused.says if refused else " ".join(finding.says for finding in verdict.findings),
    )
