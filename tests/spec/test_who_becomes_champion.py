"""Who becomes champion and which rule refuses whom: tables that a head of retention could check."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from churn.campaign import PUBLISHED, best_campaign, campaign_of
from churn.gate import Challenger, ContractRead, Opponent, judge
from churn.judging import Compared, Comparison, Difference, Judged, compare
from churn.metrics import probability
from churn.ranking import curve_of
from schemas.manifest import Figure, SliceEntry
from store.contracts import read_contract
from store.gates import read_gate
from store.policies import read_policy
from tests import cards

TELCO, NEWER_TELCO, OTHER = (
    ContractRead(name, digest * 64) for name, digest in (("telco", "a"), ("telco", "b"), ("ibm", "a"))
)


def figure(text: str) -> Figure:
    """A figure with its interval, as in `.80 (.78 to .82)`."""
    value, low, _, high = text.replace("(", "").replace(")", "").split()
    return Figure(value=float(value), low=float(low), high=float(high))


def compared(name: str, empc: str, *, at_capacity: str = "+.00 (-.10 to +.10)", churners: int = 200) -> Compared:
    """Both models on some customers, of whom the champion earns 1.00 each by either measure."""
    return Compared(name, 5_000, churners, {"empc": difference(empc), "profit_at_capacity": difference(at_capacity)})


def difference(text: str) -> Difference:
    money = figure(text)
    assert money.low is not None
    assert money.high is not None
    return Difference(1.0, 1.0 + money.value, money.value, money.low, money.high)


def champion(empc: str, *segments: Compared, kind: str = "scorecard", seen: bool = False, **money: str) -> Opponent:
    comparison = Comparison(compared("all", empc, **money), segments, seen)  # type: ignore[arg-type]
    return Opponent(kind, TELCO, comparison)  # type: ignore[arg-type]


def segment(name: str, lift: str, churners: int = 200) -> SliceEntry:
    return SliceEntry(by="segment", name=name, rows=5_000, churners=churners, figures={"lift_10": figure(lift)})


def held_out(level: str) -> SliceEntry:
    """Those whom a lot kept from being called, and how many of them were predicted for each who left."""
    figures = {"predicted_to_observed": figure(level)}
    return SliceEntry(by="arm", name="held_out", rows=900, churners=200, figures=figures)


HOLDOUT, FEW_HELD_OUT = "holdout_calibration", SliceEntry(by="arm", name="held_out", rows=9, churners=2, figures={})
SOUND = Challenger(
    kind="scorecard",
    contract=TELCO,
    split="out of time",
    strongest_alone=("complaints", 0.61),
    figures={
        "auc": figure(".70 (.68 to .72)"),
        "empc": figure("1.10 (1.00 to 1.20)"),
        "calibration_slope": figure("1.00 (.90 to 1.10)"),
        "predicted_to_observed": figure("1.00 (.92 to 1.08)"),
    },
    slices=(segment("prepaid", "2.5 (2.2 to 2.8)"),),
    probe_difference=0.0,
    champion=champion("+.10 (+.02 to +.18)", compared("prepaid", "+.10 (-.05 to +.25)")),
)


def known(**changes: object) -> Challenger:
    return replace(SOUND, **changes)  # type: ignore[arg-type]


def figures(**changes: str) -> Challenger:
    return known(figures=SOUND.figures | {name: figure(text) for name, text in changes.items()})


TABLE = [
    # what is known of the challenger, and the rule that refuses it
    ("sound, and earns more", SOUND, None),
    ("the first of all", known(champion=None), None),
    # contract
    ("reads another contract", known(contract=OTHER, explanation="we moved"), "contract"),
    ("reads a newer contract, unexplained", known(contract=NEWER_TELCO), "contract"),
    ("reads a newer contract, explained", known(contract=NEWER_TELCO, explanation="minutes are seconds now"), None),
    ("the first, with any contract", known(contract=OTHER, champion=None), None),
    # leakage
    ("a column alone at .951", known(strongest_alone=("closing_letter", 0.951)), "leakage"),
    ("a column alone at .949", known(strongest_alone=("complaints", 0.949)), None),
    ("out of time, AUC .98", figures(auc=".98 (.97 to .99)"), "leakage"),
    ("out of time, AUC .96", figures(auc=".96 (.95 to .98)"), None),
    ("not out of time, AUC .98", replace(figures(auc=".98 (.97 to .99)"), split="stratified hold-out"), None),
    # out_of_time_profit
    ("earns less, beyond doubt", known(champion=champion("-.10 (-.18 to -.01)")), "out_of_time_profit"),
    ("earns less, within chance", known(champion=champion("-.05 (-.12 to +.02)")), None),
    (
        "earns less with whom the teams can reach, beyond doubt",
        known(champion=champion("+.10 (+.02 to +.18)", at_capacity="-.10 (-.18 to -.01)")),
        "out_of_time_profit",
    ),
    (
        "earns less with whom the teams can reach, within chance",
        known(champion=champion("+.10 (+.02 to +.18)", at_capacity="-.05 (-.12 to +.02)")),
        None,
    ),
    ("boosted trees, earn more beyond doubt", known(kind="hist_gradient_boosting"), None),
    (
        "boosted trees, earn more by chance",
        known(kind="hist_gradient_boosting", champion=champion("+.05 (-.01 to +.11)")),
        "out_of_time_profit",
    ),
    (
        "boosted trees against a forest",
        known(kind="hist_gradient_boosting", champion=champion("-.01 (-.05 to +.03)", kind="random_forest")),
        None,
    ),
    # calibration
    ("too timid beyond doubt", figures(calibration_slope="1.50 (1.30 to 1.70)"), "calibration"),
    ("too timid, perhaps", figures(calibration_slope="1.30 (1.10 to 1.50)"), None),
    ("too bold beyond doubt", figures(calibration_slope=".60 (.50 to .70)"), "calibration"),
    ("too bold, perhaps", figures(calibration_slope=".75 (.65 to .85)"), None),
    ("a third too many, beyond doubt", figures(predicted_to_observed="1.33 (1.20 to 1.46)"), "calibration"),
    ("a third too many, perhaps", figures(predicted_to_observed="1.33 (1.00 to 1.66)"), None),
    ("a third too few, beyond doubt", figures(predicted_to_observed=".67 (.55 to .79)"), "calibration"),
    # holdout_calibration
    ("of those held out a third too few, beyond doubt", known(slices=(held_out(".67 (.55 to .79)"),)), HOLDOUT),
    ("of those held out a third too many, beyond doubt", known(slices=(held_out("1.33 (1.20 to 1.46)"),)), HOLDOUT),
    ("of those held out a third too few, perhaps", known(slices=(held_out(".67 (.45 to .89)"),)), None),
    ("of those held out as many as left", known(slices=(held_out("1.02 (.92 to 1.12)"),)), None),
    ("too few held out to tell", known(slices=(FEW_HELD_OUT,)), None),
    # segment_floors
    (
        "earns less in one segment, beyond doubt",
        known(champion=champion("+.10 (+.02 to +.18)", compared("prepaid", "-.20 (-.35 to -.05)"))),
        "segment_floors",
    ),
    (
        "earns less in one segment, within chance",
        known(champion=champion("+.10 (+.02 to +.18)", compared("prepaid", "-.20 (-.45 to +.05)"))),
        None,
    ),
    (
        "earns less in a segment of 49 churners",
        known(champion=champion("+.10 (+.02 to +.18)", compared("prepaid", "-.20 (-.35 to -.05)", churners=49))),
        None,
    ),
    ("no better than lots in a segment", known(slices=(segment("prepaid", ".6 (.3 to .9)"),)), "segment_floors"),
    ("perhaps better than lots", known(slices=(segment("prepaid", ".9 (.6 to 1.2)"),)), None),
    ("no better than lots, 49 churners", known(slices=(segment("prepaid", ".6 (.3 to .9)", 49),)), None),
    # probe_parity
    ("loads with other numbers", known(probe_difference=1e-6), "probe_parity"),
    ("loads with the last bit rounded", known(probe_difference=1e-12), None),
    ("loads with no number at all", known(probe_difference=float("nan")), "probe_parity"),
]


@pytest.mark.parametrize(("challenger", "refused_by"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_gate_refuses_by_the_rule_of_the_table(challenger: Challenger, refused_by: str | None) -> None:
    verdict = judge(challenger, read_gate())
    assert verdict.passed == (refused_by is None)
    assert (verdict.refused_by and verdict.refused_by.rule) == refused_by


def test_a_refusal_names_the_figures_and_their_interval() -> None:
    verdict = judge(known(champion=champion("-.10 (-.18 to -.01)", seen=True)), read_gate())
    assert verdict.refused_by is not None
    assert verdict.refused_by.says == (
        "EMPC 0.900 per customer against the champion's 1.000, a difference of -0.100 (-0.180 to -0.010); "
        "profit at capacity 1.000 per customer against the champion's 1.000, a difference of +0.000 "
        "(-0.100 to +0.100); on customers of whom the champion has learnt; neither may be less beyond its interval."
    )


def test_a_verdict_that_is_not_out_of_time_says_so() -> None:
    leakage, profit = judge(known(split="stratified hold-out"), read_gate()).findings[1:3]
    assert "not out of time" in leakage.says
    assert "not out of time" in profit.says
    assert all("not out" not in finding.says for finding in judge(SOUND, read_gate()).findings)


def test_the_first_rule_that_refuses_decides_and_the_others_are_told_too() -> None:
    challenger = replace(figures(calibration_slope=".60 (.50 to .70)"), contract=OTHER)
    verdict = judge(challenger, read_gate())
    assert [finding.rule for finding in verdict.findings if not finding.passed] == ["contract", "calibration"]
    assert verdict.refused_by == verdict.findings[0]


def test_every_rule_of_the_gate_has_a_finding_in_its_order() -> None:
    gate = read_gate()
    assert [finding.rule for finding in judge(SOUND, gate).findings] == [rule.rule for rule in gate.rules]


# The sharp model tells the riskiest from the risky and knows nothing of the rest. The broad one ranks the whole base,
# but it cannot tell the riskiest from the risky, and only there is money made.
CUSTOMERS = """
          customers  churners  sharp  broad
riskiest        400       320      3      3
risky           800        80      2      3
safe          1_600        64      1      2
safest        6_000        12      1      1
"""


def judged(model: str) -> tuple[Judged, dict[str, np.ndarray]]:
    header, *lines = (line.split() for line in CUSTOMERS.strip().splitlines())
    groups = [dict(zip(header, map(int, line[1:]), strict=True)) for line in lines]
    sizes = [group["customers"] for group in groups]
    labels = np.concatenate([np.arange(group["customers"]) < group["churners"] for group in groups]).astype(np.int64)
    scores = {name: np.repeat([group[name] for group in groups], sizes).astype(float) for name in ("sharp", "broad")}
    dates = pa.repeat(pa.scalar(date(2026, 1, 1)), len(labels))
    rows = pa.table({"as_of": dates, "segment": ["prepaid"] * len(labels)})
    return Judged(rows, labels, scores[model], np.ones(len(labels))), scores


@pytest.mark.parametrize(
    ("challenger", "holder", "lower_auc", "promoted"),
    [("sharp", "broad", True, True), ("broad", "sharp", False, False)],
)
def test_money_decides_and_not_the_auc(challenger: str, holder: str, lower_auc: bool, promoted: bool) -> None:
    rows, scores = judged(challenger)
    comparison = compare(rows, scores[holder], cards.contract())
    assert (comparison.whole.differences["auc"].high < 0.0) == lower_auc
    verdict = judge(known(champion=Opponent("scorecard", TELCO, comparison)), read_gate())
    assert verdict.passed == promoted
    assert promoted or (verdict.refused_by and verdict.refused_by.rule == "out_of_time_profit")


def test_at_a_telecoms_two_percent_a_poorer_ranking_is_refused_by_the_money_of_its_own_policy() -> None:
    """By the published money nobody of such a base is worth a contact, and each model earns as little as the next."""
    dice, telco = np.random.default_rng(5), read_contract("telco")
    risk = dice.normal(-4.2, 0.75, 20_000)
    left = (dice.random(len(risk)) < probability(risk)).astype(np.int64)
    dates = pa.repeat(pa.scalar(date(2026, 1, 1)), len(risk))
    revenue = dice.gamma(4.0, 8.0, len(risk))
    rows = pa.table({"as_of": dates, "segment": ["prepaid"] * len(risk), "monthly_revenue": revenue})
    better, poorer = (risk + dice.normal(0.0, noise, len(risk)) for noise in (0.2, 0.75))
    weights = np.ones(len(risk))
    own = campaign_of(read_policy("telco").policy, telco, rows, weights)
    assert best_campaign(curve_of(left, better), PUBLISHED).share < 0.005
    assert best_campaign(curve_of(left, better), own).share > 0.05
    comparison = compare(Judged(rows, left, poorer, weights, own), better, cards.contract())
    assert comparison.whole.differences["auc"].high < -0.01
    verdict = judge(known(champion=Opponent("scorecard", TELCO, comparison)), read_gate())
    assert verdict.refused_by is not None
    assert verdict.refused_by.rule == "out_of_time_profit"
