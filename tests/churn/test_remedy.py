"""A broken feed is for people, and a model that no longer fits is for a retraining."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from churn.alarms import Alarm
from churn.drift import Drift
from churn.drift_price import Price
from churn.findings import Finding, drift_findings, likeness_findings, profit_finding, reasons_finding
from churn.likeness import Likeness
from churn.remedy import remedy_for
from schemas.monitoring import EVERYTHING, AlarmKind, AlarmState, Remedy

PRICE = Price(money=500.0, best=2_500.0, overlap=0.6)
MOVED = Drift("usage", 0.0, 0.0, 0.0, 0.0, ks=0.3, psi=0.4, crowded=0.1, crowded_before=0.1)
LACKING = replace(MOVED, missing=0.4)
CROWDED = replace(MOVED, crowded=0.9)
PROFIT = list(profit_finding(50.0, 100.0, "then"))
REASONS = list(reasons_finding({"usage": 1.0}, {"tenure": 1.0}))
LEVEL = Finding(
    AlarmKind.CALIBRATION, "calibration", 2.0, None, "twice as many left", "Calibrate anew.", remedy=Remedy.RETRAINING
)
NOBODY = replace(LEVEL, says="nobody left", to_do="Ask whether they came: retrain not.", remedy=Remedy.PEOPLE)

STRANGERS = list(likeness_findings(Likeness(date(2026, 1, 1), {"all": 0.0}, 100.0)))


def drifted(*drifts: Drift) -> list[Finding]:
    return list(drift_findings(EVERYTHING, drifts, {drift.feature: PRICE for drift in drifts}))


TABLE = [
    # what was found                             who mends it
    (drifted(MOVED), Remedy.RETRAINING),
    ([LEVEL], Remedy.RETRAINING),
    ([NOBODY], Remedy.PEOPLE),
    ([*drifted(MOVED), *PROFIT], Remedy.RETRAINING),
    (drifted(LACKING), Remedy.PEOPLE),
    (drifted(CROWDED), Remedy.PEOPLE),
    (drifted(replace(LACKING, feature="retrain_flag")), Remedy.PEOPLE),
    ([*drifted(LACKING), LEVEL], Remedy.PEOPLE),
    (REASONS, Remedy.PEOPLE),
    (STRANGERS, Remedy.PEOPLE),
    ([*drifted(MOVED), *STRANGERS], Remedy.PEOPLE),  # it would learn from rows of others
    ([], Remedy.PEOPLE),
]


@pytest.mark.parametrize(("found", "remedy"), TABLE)
def test_a_retraining_starts_only_where_a_model_is_at_fault_and_no_feed(found: list[Finding], remedy: Remedy) -> None:
    assert remedy_for(found) is remedy


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        (AlarmState.GOING_ON, Remedy.PEOPLE),
        (AlarmState.MUTED, Remedy.PEOPLE),
        (AlarmState.COOLING_DOWN, Remedy.PEOPLE),
        (AlarmState.EXPLAINED, Remedy.RETRAINING),  # the feature is why
    ],
)
def test_while_rows_are_in_doubt_no_retraining_starts_on_them(state: AlarmState, remedy: Remedy) -> None:
    [strangers] = STRANGERS
    known = Alarm(strangers, state, date(2026, 1, 1))
    assert remedy_for(drifted(MOVED), [known]) is remedy
