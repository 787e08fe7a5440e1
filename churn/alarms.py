"""When people are told of a finding: once, until it has ended and stayed away for a while, never while muted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from churn.findings import Finding
from schemas.monitoring import EVERYTHING, AlarmKind, AlarmState

ENDS_BELOW = 0.5  # of what raises an alarm: what wavers about its limit is one alarm and not many
COOL_DOWN_DAYS = 14  # after it was raised, in which the same is written down and nobody is told

# A list's profit, reasons and order move when a feature does, which is told by its name; they are written down all the
# same.
FOLLOWS_FROM_DRIFT = (AlarmKind.PROFIT, AlarmKind.REASONS, AlarmKind.IDENTITY)


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm as an earlier night left it; `key` is that of its finding."""

    key: tuple[str, str, str]
    as_of: date
    state: AlarmState
    raised_as_of: date | None


@dataclass(frozen=True, slots=True)
class Mute:
    """Somebody's wish not to be told of a subject, or of all, for nights until a date, that one too."""

    subject: str
    until: date
    who: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A finding that counts, and what became of it tonight."""

    finding: Finding
    state: AlarmState
    raised_as_of: date | None
    mute: Mute | None = None


@dataclass(frozen=True, slots=True)
class EarlierNights:
    """What earlier nights left: the last standing of each alarm by its key, the night before, and who muted what."""

    standings: Mapping[tuple[str, str, str], Standing]
    night_before: date | None
    mutes: Sequence[Mute] = ()


def alarms_of(findings: Sequence[Finding], as_of: date, past: EarlierNights) -> list[Alarm]:
    """The findings that are alarms tonight, with their states; the largest first."""
    told = [alarm for finding in findings if (alarm := _alarm(finding, as_of, past)) is not None]
    drifts = [alarm for alarm in told if _explains(alarm)]
    marked = [_explained(one, past) if _follows(one.finding, _why(one, drifts, past)) else one for one in told]
    return sorted(marked, key=lambda alarm: -alarm.finding.size)


def _explains(alarm: Alarm) -> bool:
    """Whether people know of a feature that moved, and it is as large still as what they are told of."""
    known = alarm.state in (AlarmState.RAISED, AlarmState.GOING_ON)
    return alarm.finding.kind is AlarmKind.DRIFT and known and alarm.finding.size >= 1.0


def _why(alarm: Alarm, drifts: Sequence[Alarm], past: EarlierNights) -> list[Finding]:
    """The features that may be why: whose rows are in doubt, of those that moved on the night that the doubt began."""
    last = past.standings.get(alarm.finding.key)
    was_explained = last is not None and last.as_of == past.night_before and last.state is AlarmState.EXPLAINED
    if alarm.finding.kind is AlarmKind.IDENTITY and not was_explained:
        began = alarm.state is not AlarmState.GOING_ON
        drifts = [drift for drift in drifts if began and drift.state is AlarmState.RAISED]
    return [drift.finding for drift in drifts]


def _follows(finding: Finding, drifts: Sequence[Finding]) -> bool:
    """Whether these features are why; of money as far as theirs goes, where anybody can tell it."""
    if finding.kind not in FOLLOWS_FROM_DRIFT or not drifts:
        return False
    forgone = [drift.money for drift in drifts]
    if not finding.money or None in forgone:
        return True
    left = 1.0 - sum(money or 0.0 for money in forgone) / finding.money
    return finding.size * left < 1.0


def _explained(alarm: Alarm, past: EarlierNights) -> Alarm:
    last = past.standings.get(alarm.finding.key)
    return Alarm(alarm.finding, AlarmState.EXPLAINED, last.raised_as_of if last else None)


def _alarm(finding: Finding, as_of: date, past: EarlierNights) -> Alarm | None:
    last = past.standings.get(finding.key)
    goes_on = _goes_on(last, past)
    if finding.size < (ENDS_BELOW if goes_on else 1.0) or not (finding.sure or goes_on):
        return None
    raised = last.raised_as_of if last else None
    mute = _muted(finding, as_of, past.mutes)
    if mute:
        return Alarm(finding, AlarmState.MUTED, raised, mute)
    if goes_on:
        return Alarm(finding, AlarmState.GOING_ON, raised)
    if raised and as_of - raised < timedelta(days=COOL_DOWN_DAYS):
        return Alarm(finding, AlarmState.COOLING_DOWN, raised)
    return Alarm(finding, AlarmState.RAISED, as_of)


def _goes_on(last: Standing | None, past: EarlierNights) -> bool:
    """Whether people were told of it and it was still there on the night before."""
    there = last is not None and last.as_of == past.night_before
    return there and last is not None and last.state in (AlarmState.RAISED, AlarmState.GOING_ON)


def _muted(finding: Finding, as_of: date, mutes: Sequence[Mute]) -> Mute | None:
    meant = (mute for mute in mutes if mute.subject in (finding.subject, EVERYTHING) and as_of <= mute.until)
    return next(meant, None)
