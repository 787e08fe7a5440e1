"""Who mends what alarms tell of: a retraining by itself, or people alone."""

from __future__ import annotations

from collections.abc import Sequence

from churn.alarms import Alarm
from churn.findings import Finding
from schemas.monitoring import AlarmKind, AlarmState, Remedy

OF_THE_MODEL = frozenset({AlarmKind.DRIFT, AlarmKind.CALIBRATION, AlarmKind.DISCRIMINATION, AlarmKind.LOCAL})


def remedy_for(findings: Sequence[Finding], tonight: Sequence[Alarm] = ()) -> Remedy:
    """A retraining where something is wrong with the model, and no feed is broken from which it would learn.

    `findings` are what people are told of; `tonight` all alarms of the night, also those that they know of already.
    """
    doubts = [alarm.finding for alarm in tonight if alarm.state is not AlarmState.EXPLAINED]
    if any(finding.kind is AlarmKind.IDENTITY for finding in (*findings, *doubts)):
        return Remedy.PEOPLE
    of_the_model = [finding for finding in findings if finding.kind in OF_THE_MODEL]
    learnable = of_the_model and all(finding.remedy is Remedy.RETRAINING for finding in of_the_model)
    return Remedy.RETRAINING if learnable else Remedy.PEOPLE
