"""Who mends what alarms tell of: a retraining by itself, or people alone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from churn.findings import Finding
from schemas.monitoring import AlarmKind


class Remedy(StrEnum):
    """What helps; people are told in either case."""

    RETRAINING = "retraining"
    PEOPLE = "people"  # a feed is broken, or nothing says that the model is at fault


OF_THE_MODEL = frozenset({AlarmKind.DRIFT, AlarmKind.CALIBRATION, AlarmKind.DISCRIMINATION, AlarmKind.LOCAL})


def remedy_for(findings: Sequence[Finding]) -> Remedy:
    """A retraining where something is wrong with the model, and no feed is broken from which it would learn."""
    of_the_model = [finding for finding in findings if finding.kind in OF_THE_MODEL]
    learnable = of_the_model and all(_asks_for_retraining(finding) for finding in of_the_model)
    return Remedy.RETRAINING if learnable else Remedy.PEOPLE


def _asks_for_retraining(finding: Finding) -> bool:
    """What people are to do of a broken feed is to have it mended, and nothing else."""
    return "retrain" in finding.to_do.lower()
