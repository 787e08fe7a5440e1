"""Decides by written rules whether a challenger may become champion, and says of each rule why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from churn.fields import wrong_fields
from churn.judging import Compared, Comparison, Difference
from churn.labels import HELD_OUT
from churn.training.split import OUT_OF_TIME
from schemas.contract import Contract
from schemas.gate import (
    CalibrationRule,
    ContractRule,
    Gate,
    HoldoutRule,
    LeakageRule,
    ProbeRule,
    ProfitRule,
    Rule,
    SegmentRule,
)
from schemas.manifest import Figure, ModelKind, SliceEntry

if TYPE_CHECKING:
    from churn.training import Trained

NOBODY = "nobody is champion"


@dataclass(frozen=True, slots=True)
class ContractRead:
    """The contract that a model reads."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Opponent:
    """The champion: what it is, and how the challenger does beside it."""

    kind: ModelKind
    contract: ContractRead
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version that wants to be champion, as its training knows it; `champion` is None where it would be the first.

    `probe_difference` is the widest gap between the log-odds of the trained model and of the one loaded from its
    artifact, over the test rows. `explanation` says why the contract is not the champion's, where it is another.
    """

    kind: ModelKind
    contract: ContractRead
    split: str
    strongest_alone: tuple[str, float] | None
    figures: Mapping[str, Figure]
    slices: tuple[SliceEntry, ...]
    probe_difference: float
    champion: Opponent | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found, in one sentence with figures."""

    rule: str
    passed: bool
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding for each rule of the gate, in its order."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule refuses."""
        return self.refused_by is None

    @property
    def refused_by(self) -> Finding | None:
        """The first rule that refuses, which is the one that counts."""
        return next((finding for finding in self.findings if not finding.passed), None)


def challenger_of(
    trained: Trained, contract: Contract, *, probe_difference: float, champion: Opponent | None, explanation: str = ""
) -> Challenger:
    """What a training knows of its model."""
    return Challenger(
        kind=trained.kind,
        contract=ContractRead(contract.name, contract.digest),
        split=trained.split,
        strongest_alone=trained.strongest_alone,
        figures=trained.figures,
        slices=trained.slices,
        probe_difference=probe_difference,
        champion=champion,
        explanation=explanation,
    )


def judge(challenger: Challenger, gate: Gate) -> Verdict:
    """Asks every rule, so that one refusal does not hide the next."""
    return Verdict(tuple(_finding(rule, challenger) for rule in gate.rules))


def parse_gate(fields: object, where: str) -> Gate:
    """The gate that the fields of a YAML file describe; PolicyError lists every field that is wrong."""
    try:
        return Gate.model_validate(fields)
    except ValidationError as error:
        raise wrong_fields(error, where, shape="schemas/gate.py") from None


def _finding(rule: Rule, challenger: Challenger) -> Finding:
    match rule:
        case ContractRule():
            return _contract(challenger)
        case LeakageRule():
            return _leakage(rule, challenger)
        case ProfitRule():
            return _profit(rule, challenger)
        case CalibrationRule():
            return _calibration(rule, challenger)
        case HoldoutRule():
            return _held_out(rule, challenger)
        case SegmentRule():
            return _segments(rule, challenger)
        case ProbeRule():
            return _probe(rule, challenger)


def _contract(challenger: Challenger) -> Finding:
    ours = challenger.contract
    if challenger.champion is None:
        return Finding("contract", True, f"It reads {_named(ours)}, and {NOBODY}.")
    theirs = challenger.champion.contract
    if ours == theirs:
        return Finding("contract", True, f"It reads {_named(ours)}, as the champion does.")
    if ours.name == theirs.name and challenger.explanation:
        return Finding(
            "contract", True, f"It reads {_named(ours)} instead of {_named(theirs)}: {challenger.explanation}."
        )
    return Finding("contract", False, f"It reads {_named(ours)}, the champion {_named(theirs)}, and nobody said why.")


def _leakage(rule: LeakageRule, challenger: Challenger) -> Finding:
    area, strongest = challenger.figures["auc"], challenger.strongest_alone
    if strongest and strongest[1] > rule.alone_at_most:
        column, alone = strongest
        return Finding(
            "leakage", False, f"{column} alone ranks churners with an AUC of {alone:.3f}, above {rule.alone_at_most}."
        )
    if challenger.split == OUT_OF_TIME and area.value > rule.auc_at_most:
        return Finding(
            "leakage",
            False,
            f"An AUC of {area} out of time is above {rule.auc_at_most}: it knows the future.",
        )
    best = f"{strongest[0]} ranks best alone, with an AUC of {strongest[1]:.3f}" if strongest else "It has no columns"
    judged = challenger.split if challenger.split == OUT_OF_TIME else f"not {OUT_OF_TIME}, where no AUC is too good"
    return Finding("leakage", True, f"{best}; the model has {area}, {judged}.")


def _profit(rule: ProfitRule, challenger: Challenger) -> Finding:
    champion = challenger.champion
    when = "" if challenger.split == OUT_OF_TIME else f", not {OUT_OF_TIME}"
    if champion is None:
        says = f"EMPC {challenger.figures['empc']} per customer{when}, and {NOBODY}."
        return Finding("out_of_time_profit", True, says)
    differences = champion.comparison.whole.differences
    best, reached = differences["empc"], differences["profit_at_capacity"]
    says = f"EMPC {_beside(best)}; profit at capacity {_beside(reached)}{when}"
    if champion.comparison.seen_by_champion:
        says += "; on customers of whom the champion has learnt"
    kept = all(money.high >= -rule.tolerance for money in (best, reached))
    if rule.lead_of_other_kinds and champion.kind == "scorecard" and challenger.kind != "scorecard":
        lead = kept and best.low > rule.tolerance
        return Finding("out_of_time_profit", lead, f"{says}; no scorecard, it must earn more{_by(rule.tolerance)}.")
    return Finding("out_of_time_profit", kept, f"{says}; neither may be less{_by(rule.tolerance)}.")


def _calibration(rule: CalibrationRule, challenger: Challenger) -> Finding:
    slope, level = challenger.figures["calibration_slope"], challenger.figures["predicted_to_observed"]
    lowest, highest = 1.0 - rule.level_within, 1.0 + rule.level_within
    passed = _reaches(slope, rule.slope_from, rule.slope_to) and _reaches(level, lowest, highest)
    says = (
        f"Slope {slope}, to be {rule.slope_from:g} to {rule.slope_to:g}; "
        f"predicted / observed {level}, to be {lowest:g} to {highest:g}."
    )
    return Finding("calibration", passed, says)


def _held_out(rule: HoldoutRule, challenger: Challenger) -> Finding:
    part = next((part for part in challenger.slices if part.by == "arm" and part.name == HELD_OUT), None)
    if part is None:
        return Finding("holdout_calibration", True, "Nobody who was tested on had been held out of a list by lot.")
    counted = f"{part.rows:,} held out by lot, of whom {part.churners:,} left"
    if not part.figures:
        return Finding("holdout_calibration", True, f"{counted}, are too few to tell.")
    level, lowest, highest = part.figures["predicted_to_observed"], 1.0 - rule.ratio_within, 1.0 + rule.ratio_within
    says = f"Of {counted}, predicted / observed is {level}, to be {lowest:g} to {highest:g}."
    return Finding("holdout_calibration", _reaches(level, lowest, highest), says)


def _segments(rule: SegmentRule, challenger: Challenger) -> Finding:
    refusals = [*_worse_segments(rule, challenger.champion), *_flat_segments(rule, challenger.slices)]
    if refusals:
        return Finding("segment_floors", False, f"{'; '.join(refusals)}.")
    large = [part.name for part in challenger.slices if _is_large(part, rule)]
    says = f"No floor is missed in {', '.join(large)}" if large else f"No segment has {rule.churners_from} churners"
    return Finding("segment_floors", True, f"{says}.")


def _worse_segments(rule: SegmentRule, champion: Opponent | None) -> Iterator[str]:
    parts: tuple[Compared, ...] = champion.comparison.segments if champion else ()
    for part in parts:
        money = part.differences["empc"]
        if part.churners >= rule.churners_from and money.high < -rule.tolerance:
            yield f"in {part.name} ({part.churners} churners) EMPC {_beside(money)}"


def _flat_segments(rule: SegmentRule, slices: tuple[SliceEntry, ...]) -> Iterator[str]:
    for part in slices:
        if _is_large(part, rule) and _high(part.figures["lift_10"]) < rule.lift_10_from:
            lift = part.figures["lift_10"]
            yield f"in {part.name} ({part.churners} churners) lift {lift}, below {rule.lift_10_from:g}"


def _is_large(part: SliceEntry, rule: SegmentRule) -> bool:
    return part.by == "segment" and part.churners >= rule.churners_from and bool(part.figures)


def _probe(rule: ProbeRule, challenger: Challenger) -> Finding:
    gap = challenger.probe_difference
    # A gap that is no number is not within anything.
    passed = gap <= rule.log_odds_within
    says = f"Loaded, it differs from what was trained by {gap:.1e} log-odds, at most {rule.log_odds_within:.0e} may be."
    return Finding("probe_parity", passed, says)


def _named(contract: ContractRead) -> str:
    return f"{contract.name} ({contract.digest[:12]})"


def _reaches(figure: Figure, lowest: float, highest: float) -> bool:
    return _low(figure) <= highest and _high(figure) >= lowest


def _low(figure: Figure) -> float:
    return figure.value if figure.low is None else figure.low


def _high(figure: Figure) -> float:
    return figure.value if figure.high is None else figure.high


def _beside(money: Difference) -> str:
    return (
        f"{money.challenger:.3f} per customer against the champion's {money.champion:.3f}, "
        f"a difference of {money.difference:+.3f} ({money.low:+.3f} to {money.high:+.3f})"
    )


def _by(tolerance: float) -> str:
    return f" by {tolerance:g} beyond its interval" if tolerance else " beyond its interval"
