"""What of a night's watching changes decisions: each finding named, with its money and the first thing to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import erfc, log, sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from churn.backtest import AUC_LOST, SEGMENT, TOLERATED
from churn.drift import Drift
from churn.drift_price import Price
from churn.likeness import Likeness
from churn.trial import NORMAL_95
from schemas.monitoring import EVERYTHING, AlarmKind, Diagnosis, Remedy

# Of a list's money. Nights of noise of a hundredth of a standard deviation forgo a hundredth of this, and an ordinary
# month in a base of three thousand a quarter.
WORTH_A_PAGE = 0.05
# Of the customers: as many lost their value in a feature. That is a broken feed whatever it costs, if it costs at all.
LOST_AT_ONCE, COSTS_AT_ALL = 0.05, 0.001
ALL_ALIKE = 0.999  # of the customers: a column that tells nobody apart any more
PROFIT_LOST = 0.25  # of what a list is expected to earn; seasons move it by less
REASONS_MOVED = 0.40  # of the first reasons on the list
# Rank correlation with an earlier night, within a segment. A month of life left .81 of it, one with a retraining .75,
# in which a tenth of the scores came from other customers; rows given to others leave 0, and half of them .5.
ORDER_LOST = 0.5
# Of the values of a feature that are called so, at most so many are by chance (Benjamini and Hochberg 1995).
BY_CHANCE = 0.01
# Of the years of a sound model, at most so many raise an alarm by chance; a year is as many looks as it has months.
CHANCE_IN_A_YEAR, LOOKS_IN_A_YEAR = 0.05, 12
HARDLY_ANYBODY = 0.25  # times as many churners as predicted: no month is so quiet, and a feed may be broken
# Times as many, or as few, left of a segment against those predicted, the level of all apart where that is wrong, too.
# In two simulated years of 84 nights the most was 1.27: nights of one month say nearly the same, one of them chance.
OF_A_SEGMENT = 1.30
LEAST_RATIO = 0.01  # stands for a night of which nobody left: its logarithm would be endless
LOCALLY = 1.10  # times as many churners as elsewhere, against what was predicted

Key = tuple[str, str, str]  # of a finding: its kind, its subject and its place


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that changes decisions: of which kind, what it is about, and how large.

    `size` is a multiple of what raises an alarm. What is not `sure` raises none, and keeps one that was raised.
    `place` is the segment whose champion is meant, or all.
    """

    kind: AlarmKind
    subject: str
    size: float
    money: float | None
    says: str
    to_do: str
    place: str = EVERYTHING
    sure: bool = True
    remedy: Remedy = Remedy.PEOPLE

    @property
    def key(self) -> Key:
        """What makes it the same finding on another night."""
        return self.kind.value, self.subject, self.place


def drift_findings(place: str, drifts: Sequence[Drift], prices: Mapping[str, Price]) -> Iterator[Finding]:
    """The features whose drift costs a list money; of a model without prices, those that lost their values, or of which
    many customers are where few were.
    """
    for drift in drifts:
        price = prices.get(drift.feature)
        lost = drift.lost / LOST_AT_ONCE
        if price is None:
            size = max(lost, _crowding(drift) / LOST_AT_ONCE)
        else:
            size = max(price.share / WORTH_A_PAGE, lost if price.share > COSTS_AT_ALL else 0.0)
        if size > 0.0:
            money = price.money if price else None
            says = f"{drift.feature}: {_what(drift)}{_costs(price)}"
            to_do, remedy = _first(drift)
            yield Finding(AlarmKind.DRIFT, drift.feature, size, money, says, to_do, place, remedy=remedy)


def profit_finding(now: float, before: float | None, when: object) -> Iterator[Finding]:
    """Whether the list is expected to earn much less than that of a month ago."""
    if before is None or before <= 0.0:
        return
    lost = 1.0 - now / before
    if lost > 0.0:
        says = f"the best list would earn {now:,.0f}, and that of {when} {before:,.0f}: {lost:.0%} less"
        to_do = "See monitoring_feature for what moved, and monitoring_score for the segment that scores otherwise."
        yield Finding(AlarmKind.PROFIT, AlarmKind.PROFIT.value, lost / PROFIT_LOST, before - now, says, to_do)


def reasons_finding(now: Mapping[str, float], before: Mapping[str, float]) -> Iterator[Finding]:
    """Whether the list names other reasons than a month ago; shares of first reasons by feature."""
    moved = reasons_moved(now, before)
    if not before or not moved:
        return
    most = max({*now, *before}, key=lambda name: abs(now.get(name, 0.0) - before.get(name, 0.0)))
    told = (
        f"{most} is the first reason of {now.get(most, 0.0):.0%} of the listed, and was of {before.get(most, 0.0):.0%}"
    )
    to_do = f"Look at {most} in monitoring_feature; if it is right, tell the teams what to expect of these calls."
    yield Finding(AlarmKind.REASONS, most, moved / REASONS_MOVED, None, told, to_do)


def likeness_findings(likeness: Likeness) -> Iterator[Finding]:
    """Whether the customers of a segment rank as strangers would, of whom an earlier night had scored the same."""
    kept = dict(likeness.order_kept)
    if EVERYTHING in kept and len(kept) > 1:
        del kept[EVERYTHING]
    if not kept:
        return
    least = min(kept, key=lambda segment: kept[segment])
    whose = ", ".join(f"{segment} ({order:.2f})" for segment, order in kept.items() if order < ORDER_LOST)
    says = (
        f"the scores seem to be of other customers: the order of who was scored as of {likeness.as_of}, too, is "
        f"not what it was among {whose or least}; 1 is the same order and 0 that of strangers"
    )
    to_do = (
        "Compare the rows of three customers of both nights with the source: a join may go by a wrong key. Mend it and "
        f"run that night again, be it the one of {likeness.as_of}. Of a new champion see its shadow, and mute this."
    )
    kind, size = AlarmKind.IDENTITY, (1.0 - kept[least]) / (1.0 - ORDER_LOST)
    yield Finding(kind, kind.value, size, likeness.forgone, says, to_do)


def reasons_moved(now: Mapping[str, float], before: Mapping[str, float]) -> float:
    """The share of first reasons that are others than before."""
    return sum(abs(now.get(name, 0.0) - before.get(name, 0.0)) for name in {*now, *before}) / 2.0


def matured_findings(backtest: Sequence[Mapping[str, Any]], forgone: float | None = None) -> Iterator[Finding]:
    """What the latest matured nights say of their model; rows of BACKTEST, of nights that share no churner.

    `forgone` is what a list forgoes, in money, because the level is another than was predicted.
    """
    newest = max((row["as_of"] for row in backtest), default=None)
    for row in backtest:
        if row["as_of"] == newest and row["feature"] == EVERYTHING:
            yield from _level(row, forgone)
            yield from _order(row)
            yield from _segments(row, [one for one in backtest if one["as_of"] == newest and one["feature"] == SEGMENT])
    yield from _local(backtest)


def _crowding(drift: Drift) -> float:
    """How many more of the customers than twice as many as before are in one place: at zero, or in another unit.

    Where all are, it is how many more than before: half of them may have been there always.
    """
    ordinary = 1.0 if drift.crowded >= ALL_ALIKE else 2.0
    return max(drift.crowded - ordinary * drift.crowded_before, 0.0)


def _what(drift: Drift) -> str:
    """What happened to a feature, in words: the plainest thing that explains it."""
    if drift.missing - drift.missing_before >= LOST_AT_ONCE:
        return f"missing in {drift.missing:.1%} of the customers, {drift.missing_before:.1%} when the model learnt"
    if drift.unseen - drift.unseen_before >= LOST_AT_ONCE:
        return f"{drift.unseen:.1%} of the customers have a value that the model never met"
    if _crowding(drift) > LOST_AT_ONCE:
        return f"{drift.crowded:.1%} of the customers are where {drift.crowded_before:.1%} were when the model learnt"
    how_far = "" if drift.psi is None else f" (PSI {drift.psi:.2f})"
    return f"spread otherwise than when the model learnt{how_far}"


def _costs(price: Price | None) -> str:
    if price is None:
        return ""
    others = f", and {1.0 - price.overlap:.0%} of the best one would be other customers"
    return f"; a list forgoes {price.money:,.0f} ({price.share:.1%}) for it{others}"


def _first(drift: Drift) -> tuple[str, Remedy]:
    """The first thing to do, and who mends it: a broken feed is nothing to learn from."""
    name = drift.feature
    if drift.lost >= LOST_AT_ONCE:
        asked = f"Ask who delivers {name} why values are lacking or new; once it is mended, run the night again."
        return asked, Remedy.PEOPLE
    if _crowding(drift) > LOST_AT_ONCE:
        unit = f"Compare the unit and the values of {name} with last month's delivery; mend it, run the night again."
        return unit, Remedy.PEOPLE
    moved = f"Ask whether {name} did change; where it did, retrain, else mend the delivery and run the night again."
    return moved, Remedy.RETRAINING


def _level(row: Mapping[str, Any], forgone: float | None) -> Iterator[Finding]:
    ratio, low, high = (row[f"observed_to_predicted{end}"] for end in ("", "_low", "_high"))
    in_order = row["diagnosis"] == Diagnosis.CALIBRATION and row["auc"] is not None
    order = f" The order of customers is as it was (AUC {row['auc']:.3f})." if in_order else ""
    says = (
        f"of the customers of {row['as_of']} {row['observed']:.2%} left and {row['predicted']:.2%} were predicted: "
        f"{ratio:.2f} times as many ({low:.2f} to {high:.2f}).{order}"
    )
    anew = "Calibrate anew: a retraining sets the level by the newest matured month. The order of the list may stand."
    to_do, remedy = _of_departures(ratio, "they", anew)
    size = abs(log(max(ratio, LEAST_RATIO))) / log(TOLERATED)
    sure = row["diagnosis"] in (Diagnosis.CALIBRATION, Diagnosis.BOTH) and _is_no_chance(row)
    kind = AlarmKind.CALIBRATION
    yield Finding(kind, kind.value, size, forgone, says, to_do, sure=sure, remedy=remedy)


def _is_no_chance(row: Mapping[str, Any]) -> bool:
    """Whether so many, or so few, leave of a sound model less often than in one of twenty years.

    A night's own interval is of one look, as a gate takes; an alarm is looked for on every night of a year.
    """
    limit = NormalDist().inv_cdf(1.0 - CHANCE_IN_A_YEAR / LOOKS_IN_A_YEAR / 2.0)
    expected = max(row["predicted"] * row["customers"], 1e-9)
    stands_for = _squares(row) / row["churners"] if row["churners"] else 1.0
    return bool(abs(row["observed_to_predicted"] - 1.0) > limit * sqrt(stands_for / expected))


def _squares(row: Mapping[str, Any]) -> float:
    """What the number of churners varies by; a night of an earlier release has none, and counts each as one."""
    return float(row["churners"] if row["squares"] is None else row["squares"])


def _segments(everybody: Mapping[str, Any], segments: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The segments of which others leave than was predicted for them, where there are several; as many are by chance
    as of values of a feature. What all have in common is told of all.
    """
    wrong = everybody["diagnosis"] in (Diagnosis.CALIBRATION, Diagnosis.BOTH)
    level = max(everybody["observed_to_predicted"], LEAST_RATIO) if wrong else 1.0
    limit = NormalDist().inv_cdf(1.0 - BY_CHANCE / 2.0 / max(len(segments), 1))
    for row in segments if len(segments) > 1 else ():
        ratio = row["observed_to_predicted"]
        error = (row["observed_to_predicted_high"] - ratio) / NORMAL_95
        sure = row["diagnosis"] != Diagnosis.TOO_FEW and abs(ratio - level) > limit * error
        subject = f"{SEGMENT} {row['value']}"
        says = (
            f"{subject}: of its customers of {row['as_of']} {row['observed']:.2%} left and {row['predicted']:.2%} were "
            f"predicted: {ratio:.2f} times as many, and {everybody['observed_to_predicted']:.2f} of all"
        )
        again = f"See the other nights of {row['value']} in backtest; where they say the same, retrain."
        to_do, remedy = _of_departures(ratio, f"those of {subject}", again)
        size = _apart(ratio, level)
        yield Finding(AlarmKind.CALIBRATION, subject, size, None, says, to_do, sure=sure, remedy=remedy)


def _apart(ratio: float, level: float) -> float:
    """How far a segment lies off all, and no farther than by itself: else a sound one is named for another's sake."""
    off = max(ratio, LEAST_RATIO)
    return min(abs(log(off)), abs(log(off / level))) / log(OF_A_SEGMENT)


def _of_departures(ratio: float, whose: str, else_first: str) -> tuple[str, Remedy]:
    """What to do first where so many times as many left as predicted, and whether a retraining does it."""
    if ratio >= HARDLY_ANYBODY:
        return else_first, Remedy.RETRAINING
    asked = f"Ask who delivers departures whether {whose} came; once they did, look back on the night again."
    return asked, Remedy.PEOPLE


def _order(row: Mapping[str, Any]) -> Iterator[Finding]:
    if row["auc"] is None or row["auc_before"] is None:
        return
    lost = row["auc_before"] - row["auc"]
    says = (
        f"the AUC on the customers of {row['as_of']} is {row['auc']:.3f}, and was {row['auc_before']:.3f} in training"
    )
    to_do = "Retrain, and see monitoring_feature for what changed since the model learnt."
    sure = row["diagnosis"] in (Diagnosis.DISCRIMINATION, Diagnosis.BOTH)
    kind, size = AlarmKind.DISCRIMINATION, lost / AUC_LOST
    yield Finding(kind, kind.value, size, None, says, to_do, sure=sure, remedy=Remedy.RETRAINING)


def _local(backtest: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The values among whose customers more left than among all, against what was predicted for each."""
    everybody = [row for row in backtest if row["feature"] == EVERYTHING]
    predicted = sum(row["predicted"] * row["customers"] for row in everybody)
    level = sum(row["churners"] for row in everybody) / predicted if predicted else 0.0
    counts: dict[str, dict[str, _Count]] = {}
    for row in backtest:
        if row["feature"] not in (EVERYTHING, SEGMENT):
            of_feature = counts.setdefault(row["feature"], {})
            before = of_feature.get(row["value"], _Count(0.0, 0.0, 0.0))
            expected = row["predicted"] * row["customers"] * level
            of_feature[row["value"]] = before.with_night(row, expected)
    for feature, of_feature in counts.items():
        yield from _local_findings(feature, of_feature)


def _local_findings(feature: str, counts: Mapping[str, _Count]) -> Iterator[Finding]:
    limit = _limit([count.chance for count in counts.values()])
    for value, count in counts.items():
        if count.left > LOCALLY * count.expected:
            size = log(max(count.chance, 1e-300)) / log(limit)
            says = (
                f"{feature} {value}: {count.left:,.0f} left and {count.expected:,.0f} were to be expected, "
                "were it as elsewhere"
            )
            to_do = f"Ask the market team what changed for {feature} {value}; then retrain with months that know it."
            subject = f"{feature} {value}"
            yield Finding(AlarmKind.LOCAL, subject, size, None, says, to_do, remedy=Remedy.RETRAINING)


class _Count(NamedTuple):
    """How many of the customers of a value left, and how many would have, were it as elsewhere.

    `squares` is what `left` varies by: those held out stand for several, and a few of them are soon many.
    """

    left: float
    expected: float
    squares: float

    def with_night(self, row: Mapping[str, Any], expected: float) -> _Count:
        """With a night's more."""
        return _Count(self.left + row["churners"], self.expected + expected, self.squares + _squares(row))

    @property
    def chance(self) -> float:
        """How likely so many are by chance: the root of a count varies alike, be the churners few or many."""
        each_is = self.squares / self.left if self.left else 1.0
        return erfc(sqrt(2.0 / each_is) * (sqrt(self.left) - sqrt(self.expected))) / 2.0


def _limit(chances: Sequence[float]) -> float:
    """The chance below which a value is called so, when so many are looked at."""
    in_order = sorted(chances)
    passed = [rank for rank, chance in enumerate(in_order, start=1) if chance <= BY_CHANCE * rank / len(in_order)]
    return BY_CHANCE * max(passed, default=1) / max(len(in_order), 1)
