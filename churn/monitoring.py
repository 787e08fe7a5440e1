"""Watches a night: how features, scores and the list lie against the model and a month ago, as rows for BI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.alarms import Alarm
from churn.contract import arrow_schema
from churn.drift import Drift, drift_of
from churn.drift_price import Base, Part, Price, Terms, best_of, prices, worth_of
from churn.estimators import Estimator
from churn.findings import (
    Finding,
    Key,
    drift_findings,
    likeness_findings,
    matured_findings,
    profit_finding,
    reasons_finding,
    reasons_moved,
)
from churn.likeness import Earlier, Likeness, likeness_of
from churn.monitoring_scores import Before, Scores, lists_of, spreads_of
from churn.scorecard import Feature, Kind, Scorecard, binned
from schemas.monitoring import ALARMS, DECISIONS, EVERYTHING, FEATURES, SCORE_SPREADS, AlarmState

_ENDS = ("minimum", "maximum", "mean")


class Watched(NamedTuple):
    """Which night is watched, by the run of its scores."""

    contract: str
    as_of: date
    run_id: str

    @property
    def named(self) -> dict[str, Any]:
        """The columns that every row of the night begins with."""
        return self._asdict()


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """The share of the best list whose first reason each feature is, tonight and a month ago."""

    now: Mapping[str, float]
    before: Mapping[str, float]


class Numbers(NamedTuple):
    """The ends and the mean of a feature's known values, and how many there are."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    known: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PartFacts:
    """What is known of a part beside its bins: its model, and the numbers of each feature."""

    part: Part
    model: Scorecard | Estimator
    numbers: Mapping[str, Numbers]

    @property
    def priced(self) -> bool:
        """Whether the model says what a change of a feature would do: a scorecard does."""
        return isinstance(self.model, Scorecard)


@dataclass(frozen=True, slots=True, eq=False)
class Night:
    """A night as it is watched: its scores, the parts of each champion, its reasons, and what it is held against.

    `backtest` are rows of BACKTEST: what became of nights whose horizon is over, that share no churner. `lift` is the
    row of LIFT of all waves together, where one was measured.
    """

    watched: Watched
    scores: Scores
    parts: tuple[PartFacts, ...]
    terms: Terms
    reasons: Reasons
    before: Before | None = None
    earlier: Earlier | None = None
    backtest: Sequence[Mapping[str, Any]] = ()
    lift: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> Base:
        """The customers, and the parts of them whose champions have prices."""
        return Base(self.scores.customers, tuple(facts.part for facts in self.parts if facts.priced))

    @property
    def matured(self) -> Mapping[str, Mapping[str, Any]]:
        """What became of the latest matured night, by segment, and of all."""
        rows = [row for row in self.backtest if row["feature"] in (EVERYTHING, "segment")]
        newest = max((row["as_of"] for row in rows), default=None)
        # Everybody last, since the segment of those who have none is called so, too.
        everybody_last = sorted(rows, key=lambda row: row["feature"] == EVERYTHING)
        return {row["value"]: row for row in everybody_last if row["as_of"] == newest}


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """What was found of a night: rows by the name of their table, but those of alarms; and what may be alarms."""

    features: pa.Table
    scores: pa.Table
    decision: pa.Table
    findings: tuple[Finding, ...]


def watch(night: Night) -> Watch:
    """Everything that is told of a night."""
    drifts = {facts.part.place: drifts_of(facts.part) for facts in night.parts}
    priced = prices(night.base, night.terms)
    listed = lists_of(night.scores, night.terms, night.before)
    likeness = likeness_of(night.scores, night.earlier, night.terms) if night.earlier else None
    findings = (
        *_drift_findings(drifts, priced, night),
        *profit_finding(listed["expected_profit"], listed.get("expected_profit_before"), listed.get("before_as_of")),
        *reasons_finding(night.reasons.now, night.reasons.before),
        *(likeness_findings(likeness) if likeness else ()),
        *matured_findings(night.backtest, _forgone_by_level(night)),
    )
    rows = [row for facts in night.parts for row in _feature_rows(night, facts, drifts[facts.part.place], priced)]
    return Watch(
        features=pa.Table.from_pylist(rows, schema=arrow_schema(FEATURES)),
        scores=pa.Table.from_pylist(list(_score_rows(night, likeness)), schema=arrow_schema(SCORE_SPREADS)),
        decision=_decision(night, listed, priced),
        findings=findings,
    )


def with_alarms(decision: pa.Table, alarms: int) -> pa.Table:
    """The row of DECISIONS with the number of alarms that were raised."""
    place = DECISIONS.names.index("alarms")
    return decision.set_column(place, "alarms", pa.array([alarms] * decision.num_rows, pa.int64()))


def alarm_rows(alarms: Sequence[Alarm], watched: Watched, told: Mapping[Key, datetime]) -> pa.Table:
    """The rows of ALARMS; `told` is when people were told of the night's alarms, by the keys of their findings."""
    rows = [
        {
            **watched.named,
            "kind": one.finding.kind.value,
            "subject": one.finding.subject,
            "place": one.finding.place,
            "state": one.state.value,
            "size": one.finding.size,
            "money": one.finding.money,
            "says": one.finding.says,
            "to_do": one.finding.to_do,
            "remedy": one.finding.remedy.value,
            "raised_as_of": one.raised_as_of,
            "muted_by": one.mute.who if one.mute else None,
            "muted_until": one.mute.until if one.mute else None,
            "told_at": told.get(one.finding.key) if one.state is AlarmState.RAISED else None,
        }
        for one in alarms
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(ALARMS))


def first_reasons(scores: Scores, reason: pa.ChunkedArray, terms: Terms) -> dict[str, float]:
    """The share of the best list whose first reason each feature is; `reason` is each customer's, null where unknown.

    The list itself goes through its base: whoever was on it rests, so that the next one has others, and other reasons.
    """
    best = best_of(worth_of(scores.customers, terms), terms.places)
    counts = pc.value_counts(reason.take(pa.array(best)).cast(pa.string()).drop_null()).to_pylist()
    whole = max(sum(each["counts"] for each in counts), 1)
    return {each["values"]: each["counts"] / whole for each in counts}


def card_for_bins(model: Scorecard | Estimator) -> Scorecard:
    """The card whose bins a model's reference is told in: of an estimator one that cuts nothing and adds nothing."""
    return model if isinstance(model, Scorecard) else Scorecard(0.0, model.inputs, (), model.base_rate)


def bins_of(card: Scorecard, rows: pa.Table) -> np.ndarray:
    """The bin of each feature of each customer, [features, customers]."""
    return np.array(binned(card, rows), np.uint16).reshape(len(card.features), rows.num_rows)


def numbers_of(feature: Feature, values: pa.ChunkedArray) -> Numbers:
    """The ends and the mean of the known values; none of a category."""
    if feature.kind is Kind.CATEGORY:
        return Numbers(None, None, None)
    known = values.cast(pa.float64(), safe=False)
    ends = pc.min_max(known)
    return Numbers(ends["min"].as_py(), ends["max"].as_py(), pc.mean(known).as_py(), len(known) - known.null_count)


def together(parts: Sequence[Numbers]) -> Numbers:
    """The numbers of the customers of several parts of a base."""
    told = [part for part in parts if part.known]
    if not told:
        return Numbers(None, None, None)
    known = sum(part.known for part in told)
    mean = sum((part.mean or 0.0) * part.known for part in told) / known
    return Numbers(min(part.minimum for part in told), max(part.maximum for part in told), mean, known)  # type: ignore[type-var]  # known ones have ends


def drifts_of(part: Part) -> list[Drift]:
    """The sizes of each feature's drift; not of those of which the model kept no reference."""
    return [
        drift_of(feature, np.bincount(bins, minlength=feature.bins), part.reference[feature.name])
        for feature, bins in zip(part.card.features, part.bins, strict=True)
        if len(part.reference.get(feature.name, ())) == feature.bins
    ]


def _drift_findings(
    drifts: Mapping[str, Sequence[Drift]], priced: Mapping[tuple[str, str], Price], night: Night
) -> Iterator[Finding]:
    for facts in night.parts:
        place = facts.part.place
        theirs = {feature: price for (at, feature), price in priced.items() if at == place}
        yield from drift_findings(place, drifts[place], theirs)


def _forgone_by_level(night: Night) -> float | None:
    """What tonight's list forgoes, were the level as it came of the latest matured night."""
    matured = night.matured.get(EVERYTHING)
    if not matured or matured["observed_to_predicted"] <= 0.0:
        return None
    customers = night.scores.customers
    tonight = best_of(worth_of(customers, night.terms), night.terms.places)
    log_odds = customers.log_odds + np.log(matured["observed_to_predicted"])
    came = worth_of(customers._replace(log_odds=log_odds), night.terms)
    return float(came[best_of(came, night.terms.places)].sum() - came[tonight].sum())


def _feature_rows(
    night: Night, facts: PartFacts, drifts: Sequence[Drift], priced: Mapping[tuple[str, str], Price]
) -> Iterator[dict[str, Any]]:
    place = facts.part.place
    for drift in drifts:
        price = priced.get((place, drift.feature))
        yield {
            **night.watched.named,
            "place": place,
            "feature": drift.feature,
            **{name: getattr(drift, name) for name in ("missing", "missing_before", "unseen", "unseen_before")},
            **dict(zip(_ENDS, facts.numbers[drift.feature], strict=False)),
            "ks": drift.ks,
            "psi": drift.psi,
            "forgone": price.money if price else None,
            "forgone_share": price.share if price else None,
            "overlap": price.overlap if price else None,
            "first_reason": night.reasons.now.get(drift.feature, 0.0),
            "first_reason_before": night.reasons.before.get(drift.feature, 0.0) if night.reasons.before else None,
        }


def _score_rows(night: Night, likeness: Likeness | None) -> Iterator[dict[str, Any]]:
    spreads, then = spreads_of(night.scores), spreads_of(night.before.scores) if night.before else {}
    rates = _trained_rates(night)
    for segment, spread in spreads.items():
        before, matured = then.get(segment), night.matured.get(segment)
        yield {
            **night.watched.named,
            "segment": segment,
            "customers": spread.customers,
            "mean": spread.mean,
            "tenth": spread.below(0.1),
            "half": spread.below(0.5),
            "nine_tenths": spread.below(0.9),
            "top_percent": spread.below(0.99),
            "mean_before": before.mean if before else None,
            "psi": spread.moved_from(before) if before else None,
            "order_kept": likeness.order_kept.get(segment) if likeness else None,
            "order_as_of": likeness.as_of if likeness else None,
            "expected_auc": spread.expected_auc(),
            "expected_rate": spread.mean * matured["observed_to_predicted"] if matured else None,
            "em_rate": spread.em_rate(rates[segment]) if segment in rates else None,
            "matured_rate": matured["observed"] if matured else None,
            "matured_as_of": matured["as_of"] if matured else None,
        }


def _trained_rates(night: Night) -> dict[str, float]:
    """The rate that each segment's champion was calibrated to; of all, by how many customers each of them scores."""
    sizes = np.array([len(facts.part.rows) for facts in night.parts], np.float64)
    rates = [facts.model.base_rate for facts in night.parts]
    by_place = {facts.part.place: facts.model.base_rate for facts in night.parts}
    return by_place | {EVERYTHING: float(np.average(rates, weights=np.maximum(sizes, 1.0)))}


def _decision(night: Night, listed: Mapping[str, Any], priced: Mapping[tuple[str, str], Price]) -> pa.Table:
    dearest = max(priced.items(), key=lambda each: each[1].money, default=None)
    matured, reasons = night.matured.get(EVERYTHING, {}), night.reasons
    ratio = [f"observed_to_predicted{end}" for end in ("", "_low", "_high")]
    row = {
        **night.watched.named,
        "places": night.terms.places,
        "open": int(night.scores.open.sum()),
        **listed,
        "reasons_moved": reasons_moved(reasons.now, reasons.before) if reasons.before else None,
        "forgone": dearest[1].money if dearest else None,
        "forgone_feature": dearest[0][1] if dearest and dearest[1].money > 0.0 else None,
        "matured_as_of": matured.get("as_of"),
        **{name: matured.get(name) for name in ratio},
        "lift": night.lift.get("effect"),
        "lift_low": night.lift.get("effect_low"),
        "lift_high": night.lift.get("effect_high"),
        "saved": night.lift.get("saved"),
        "alarms": 0,
    }
    return pa.Table.from_pylist([row], schema=arrow_schema(DECISIONS))
