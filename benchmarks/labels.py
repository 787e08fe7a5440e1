"""What lists do to labels, and what knowing of them mends: three months of calls, watched, learnt from and judged.

The riskiest tenth is called each month but for a tenth of it that a lot holds out, and of the called who would have
left 30 % stay. Customers and risks are drawn, 10 % leave a month and a perfect model has an AUC of .85: at a telecom's
2 % those held out of a base of a million would be too few to tell one part in twenty.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.backtest import Matured, backtest_rows
from churn.campaign import PUBLISHED
from churn.findings import matured_findings
from churn.gate import Challenger, ContractRead, Opponent, judge
from churn.judging import Judged, compare
from churn.labels import ACTION, ARM, HELD_OUT, LISTED, POLICY, SHARE, lot_weights
from churn.metrics import Floats, Labels, auc, probability
from churn.slices import figures_with_intervals, slices_of_held_out
from churn.training import Trained, TrainingPlan, labels_of, train
from churn.training.calibration import log_odds_of
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract
from schemas.monitoring import EVERYTHING
from store.gates import read_gate

CALLED_SHARE, HELD_OUT_SHARE, SAVED = 0.10, 0.10, 0.30
BEFORE = tuple(date(2025, month, 1) for month in (1, 2, 3, 4, 5))  # nobody was called
CALLED = tuple(date(2025, month, 1) for month in (7, 8, 9))
PLAN = TrainingPlan(interactions=0, outer_bags=2, max_rounds=1_000)

KEY = Column("customer_id", LogicalType.STRING, "key", roles=(Role.KEY,))
KNOWN = tuple(
    Column(name, LogicalType.NUMBER, name, roles=(Role.FEATURE,)) for name in ("bill", "complaints", "tenure")
)
LATER = Column("network", LogicalType.NUMBER, "what only the newer model knows", roles=(Role.FEATURE,))
INTERCEPT, STEP = -3.25, 0.5  # the step is what a straight line would miss
STRENGTHS = {"bill": 1.05, "complaints": 0.8, "tenure": -0.65, "network": 0.45}


@dataclass(frozen=True, slots=True)
class Months:
    """Customers of some dates, as rows to learn from, their true log-odds, and who leaves uncalled; [rows]."""

    rows: pa.Table
    truth: Floats
    uncalled: Labels

    def with_calls(self, scores: Floats, dice: np.random.Generator) -> Months:
        """The same where those who score highest each month were called, but for the lot."""
        held_out = dice.random(len(scores)) < HELD_OUT_SHARE
        in_wave = _riskiest(scores, self.rows)
        saved = in_wave & ~held_out & (dice.random(len(scores)) < SAVED)
        arm = np.where(held_out, HELD_OUT, LISTED).astype(object)
        told = {
            ARM: pa.array(arm, pa.string(), mask=~in_wave),
            ACTION: pa.repeat("call", len(scores)),
            POLICY: pa.repeat("p" * 64, len(scores)),
            SHARE: pa.repeat(HELD_OUT_SHARE, len(scores)),
        }
        label = pa.array(np.where(saved, 0, labels_of(self.rows)))
        rows = self.rows.set_column(self.rows.column_names.index("label"), "label", label)
        for name, values in told.items():
            rows = rows.append_column(name, values)
        return Months(rows, self.truth, self.uncalled)


def main() -> None:
    """Draws, calls, watches, retrains with and without knowledge of the calls, and asks the gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--to", type=Path, help="where to write the page, such as docs/labels.md")
    chosen = parser.parse_args()
    dice = np.random.default_rng(chosen.seed)
    champion = train(_drawn(BEFORE, chosen.customers, dice).rows, contract(KNOWN), PLAN)
    quiet = _drawn(CALLED, chosen.customers, dice)
    months = quiet.with_calls(log_odds_of(champion.model, quiet.rows), dice)
    all_known = contract((*KNOWN, LATER))
    knowing, naive = (train(rows, all_known, PLAN) for rows in (months.rows, _without_arms(months.rows)))
    figures = watched(champion, months) | retrained(knowing, naive, months)
    for name, newer in (("retrained", knowing), ("naive", naive)):
        said = judged_by_the_gate(champion, newer, months)
        figures |= {f"{name}_{what}": value for what, value in said.items()}
    for name, value in figures.items():
        print(f"{name:34} {value}")
    if chosen.to:
        chosen.to.write_text(_page(figures, chosen.customers), encoding="utf-8")
    wanted = ("naive_ratio", "ratio", "retrained_error")
    print(json.dumps({name: figures[name] for name in wanted}))


def contract(features: tuple[Column, ...]) -> Contract:
    """The contract of a base with these features."""
    table = Table("customers", "customers", (KEY, *features), ("customer_id",))
    return Contract(
        name="drawn", version="1", digest="d" * 64, description="", flat=True, sources=(table,), customer=table, text=""
    )


def watched(champion: Trained, months: Months) -> dict[str, object]:
    """Observed to predicted in the tenth that scores highest, and whether the watching asks for a retraining."""
    log_odds, labels = log_odds_of(champion.model, months.rows), labels_of(months.rows)
    top, weights = _riskiest(log_odds, months.rows), lot_weights(months.rows)
    chance = probability(log_odds)
    return {
        "perfect_auc_uncalled": round(auc(months.uncalled, months.truth), 3),
        "perfect_auc_as_it_came": round(auc(labels, months.truth), 3),
        "naive_ratio": round(float(labels[top].mean() / chance[top].mean()), 3),
        "ratio": round(float(np.average(labels[top], weights=weights[top]) / chance[top].mean()), 3),
        "alarms": _alarms(champion, months, weights),
        "naive_alarms": _alarms(champion, months, np.ones(len(labels))),
    }


def retrained(knowing: Trained, naive: Trained, months: Months) -> dict[str, object]:
    """How far the mean risk of the truly riskiest tenth is off, in models that learnt from these months alone."""
    top = _riskiest(months.truth, months.rows)
    truth, told, fooled = (
        float(probability(log_odds)[top].mean())
        for log_odds in (months.truth, *(log_odds_of(one.model, months.rows) for one in (knowing, naive)))
    )
    return {
        "true_top_decile": round(truth, 4),
        "retrained_top_decile": round(told, 4),
        "naive_top_decile": round(fooled, 4),
        "retrained_error": round(told / truth - 1.0, 4),
        "naive_error": round(fooled / truth - 1.0, 4),
        "shapes": knowing.treatment.shapes if knowing.treatment else "",
    }


def judged_by_the_gate(champion: Trained, newer: Trained, months: Months) -> dict[str, object]:
    """The AUC of a model that knows more than the champion, and what the gate says of it."""
    newest = pc.equal(months.rows["as_of"], pa.scalar(CALLED[-1]))
    rows, weights = months.rows.filter(newest), lot_weights(months.rows.filter(newest))
    told = weights > 0.0
    rows = rows.filter(pa.array(told))
    judged = Judged(rows, labels_of(rows), log_odds_of(newer.model, rows), weights[told])
    challenger = _challenger(newer, champion, judged)
    findings = judge(challenger, read_gate()).findings
    areas = challenger.champion.comparison.whole.differences["auc"] if challenger.champion else None
    return {
        "auc": f"{areas.challenger:.3f}, the champion's {areas.champion:.3f}" if areas else "",
        "refused_by": ", ".join(finding.rule for finding in findings if not finding.passed) or "nobody",
        "of_those_held_out": next(finding.says for finding in findings if finding.rule == "holdout_calibration"),
    }


def _drawn(months: Sequence[date], customers: int, dice: np.random.Generator) -> Months:
    size = customers * len(months)
    values = {name: dice.normal(size=size) for name in STRENGTHS}
    truth = INTERCEPT + np.sum([strength * values[name] for name, strength in STRENGTHS.items()], axis=0)
    truth += STEP * (values["bill"] > 1.0)
    left = (dice.random(size) < probability(truth)).astype(np.int64)
    columns = {
        "customer_id": pa.array(np.char.add("C", np.arange(size).astype(str))),
        **values,
        "as_of": pa.array(np.repeat(np.array(months, "datetime64[D]"), customers)),
        "label": left,
    }
    return Months(pa.table(columns), truth, left)


def _riskiest(scores: Floats, rows: pa.Table) -> npt.NDArray[np.bool_]:
    """The tenth of each month's customers that scores highest."""
    chosen = np.zeros(len(scores), np.bool_)
    month = np.asarray(rows["as_of"].combine_chunks().dictionary_encode().indices)
    for each in range(int(month.max()) + 1):
        theirs = month == each
        chosen |= theirs & (scores > np.quantile(scores[theirs], 1.0 - CALLED_SHARE))
    return chosen


def _alarms(champion: Trained, months: Months, weights: Floats) -> int:
    """How many findings of the matured months a night's watching would raise an alarm for."""
    log_odds, labels = log_odds_of(champion.model, months.rows), labels_of(months.rows)
    found = []
    for as_of in CALLED:
        there = np.asarray(pc.equal(months.rows["as_of"], pa.scalar(as_of)).to_numpy())
        night = Matured(
            contract="drawn",
            as_of=as_of,
            run_id="run",
            model_version=1,
            labels=labels[there],
            log_odds=log_odds[there],
            weights=weights[there],
            by={},
            campaign=PUBLISHED,
            auc_before={EVERYTHING: champion.test.auc},
        )
        found += [one for one in matured_findings(backtest_rows(night).to_pylist()) if one.sure and one.size >= 1.0]
    return len(found)


def _challenger(newer: Trained, champion: Trained, judged: Judged) -> Challenger:
    read = ContractRead("drawn", "d" * 64)
    comparison = compare(judged, log_odds_of(champion.model, judged.rows), contract(KNOWN))
    return Challenger(
        kind=newer.kind,
        contract=read,
        split=newer.split,
        strongest_alone=newer.strongest_alone,
        figures=figures_with_intervals(judged),
        slices=slices_of_held_out(judged),
        probe_difference=0.0,
        champion=Opponent(champion.kind, read, comparison),
    )


def _page(figures: Mapping[str, object], customers: int) -> str:
    lines = [
        "# What calls do to labels\n",
        f"{customers:,} customers a month, of whom 10 % leave, three months: the riskiest tenth is called, but for a"
        " tenth of it that a lot holds out, and 30 % of the called who would have left stay. A model that learns from"
        " all of them believes the riskiest to be safer than they are, and ranks as well as ever. A retraining knows"
        " who was listed, held out and contacted while its labels came: called customers are excluded, held-out"
        " customers are weighted up to represent them in its level, and the gate asks whether the risks of those held"
        " out are right.\n",
        "Made by `python -m benchmarks.labels --to docs/labels.md`.\n",
        "| | knowing who was called | naively |",
        "|---|---:|---:|",
        *(f"| {said} | {figures[knowing]} | {figures[naive]} |" for said, knowing, naive in _ROWS),
        f"\nA perfect model's AUC falls from {figures['perfect_auc_uncalled']} to {figures['perfect_auc_as_it_came']},"
        f" as the calls work. The mean risk of the truly riskiest tenth is {figures['true_top_decile']}.",
    ]
    return "\n".join(lines) + "\n"


_ROWS = (
    ("observed / predicted in the riskiest tenth", "ratio", "naive_ratio"),
    ("alarms of the three months", "alarms", "naive_alarms"),
    ("retrained: mean risk of the truly riskiest tenth", "retrained_top_decile", "naive_top_decile"),
    ("retrained: how far that is off", "retrained_error", "naive_error"),
    ("retrained: AUC", "retrained_auc", "naive_auc"),
    ("refused by", "retrained_refused_by", "naive_refused_by"),
)


def _without_arms(rows: pa.Table) -> pa.Table:
    return rows.drop_columns([ARM, ACTION, POLICY, SHARE])


if __name__ == "__main__":
    main()
