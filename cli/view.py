"""What the commands print: tables for people, one line of JSON for scripts."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from churn.metrics import Evaluation
from churn.promotion import approval_command
from tasks.night import Candidate, Result, Retraining, Summary

ONE_SNAPSHOT = (
    "One snapshot allows no out-of-time test: these figures are of customers held out, not of months to come."
)
MANY_MONTHS = "A customer's months fall into several folds, so these figures flatter; the model's own are out of time."


def show_night(console: Console, summary: Summary) -> None:
    """What was published, how many customers have which status, the top of the list, and where everything is."""
    night = summary.night
    console.print(f"\n{night.base} as of {night.as_of}", style="bold", end="")
    console.print(f", facts known by {night.known_at:%Y-%m-%d %H:%M}")
    for result in (summary.scores, summary.outreach):
        show_result(console, result)
    for objection in summary.objections:
        console.print("Warning", style="bold yellow", end="")
        console.print(f" {objection}", highlight=False, soft_wrap=True)
    if summary.parity:
        console.print(f"parity: {summary.parity}", highlight=False, soft_wrap=True)
    console.print(_counts(summary))
    console.print(_teams(summary))
    console.print(_top(summary))
    console.print("\nWhere everything is", style="bold")
    for what, where in summary.places.items():
        console.print(f"{what}: {where}", soft_wrap=True, highlight=False)  # unbroken, to be copied


def show_result(console: Console, result: Result) -> None:
    """Whether this run published, or found it done."""
    rows = f"{result.rows:,} rows, run {result.run_id}, revision {result.revision}"
    state, colour = ("published", "green") if result.new else ("already published, nothing to do", "yellow")
    console.print(f"{result.kind}: ", end="")
    console.print(state, style=colour, end="")
    console.print(f", {rows}")


def show_retraining(console: Console, retraining: Retraining) -> None:
    """Each candidate's figures, what the gate said of it, and what became of it; last who has too few churners."""
    for candidate, page in zip(retraining.candidates, retraining.pages, strict=True):
        console.print(_figures(candidate))
        for finding in candidate.verdict.findings:
            mark, colour = ("passed ", "green") if finding.passed else ("refused", "red")
            console.print(mark, style=colour, end="")
            console.print(f" {finding.rule.replace('_', ' ')}: {finding.says}", highlight=False)
        console.print(_outcome(retraining, candidate), highlight=False, soft_wrap=True)
        for what, where in {"its card": page, "its folder": candidate.folder}.items():
            console.print(f"{what}: {where}", soft_wrap=True, highlight=False)  # unbroken, to be copied
    for one in retraining.fallbacks:
        console.print(f"{one.segment} keeps the model of all: {one.churners} churners, {one.needed} are needed")


def _figures(candidate: Candidate) -> Table:
    table = Table(title=f"Version {candidate.version} for {candidate.segment}, judged {candidate.split}")
    table.add_column("figure")
    table.add_column("value, 95 % interval", justify="right")
    for name, figure in candidate.figures.items():
        table.add_row(name.replace("_", " "), str(figure))
    return table


def _outcome(retraining: Retraining, candidate: Candidate) -> str:
    refused = candidate.verdict.refused_by
    if refused is not None:
        return f"version {candidate.version} is not promoted: rule {refused.rule}: {refused.says}"
    if candidate.segment in retraining.promoted:
        return f"version {candidate.version} is champion of {candidate.segment}"
    command = approval_command(retraining.base, candidate.version, candidate.segment, candidate.expected)
    return f"version {candidate.version} passed and waits; to approve it: {command}"


def show_evaluation(console: Console, evaluation: Evaluation, *, one_snapshot: bool) -> None:
    """The cross-validated figures as a table, and last a line of JSON."""
    table = Table(title="Cross-validated: 5 stratified folds, seed 42")
    table.add_column("figure")
    table.add_column("mean of folds", justify="right")
    for name, value in asdict(evaluation).items():
        table.add_row(name.replace("_", " "), f"{value:,.4f}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    console.print(ONE_SNAPSHOT if one_snapshot else MANY_MONTHS)
    wanted = ("auc", "lift_10", "ece", "log_loss")
    print(json.dumps({name: round(getattr(evaluation, name), 6) for name in wanted}))


def _counts(summary: Summary) -> Table:
    table = Table(title="Customers")
    table.add_column("what")
    table.add_column("customers", justify="right")
    counts = {"scored": summary.scores.rows, "set aside in quarantine": summary.quarantined}
    counts |= {f"risk {band}": count for band, count in summary.bands.items()}
    counts |= {f"outreach: {status.replace('_', ' ')}": count for status, count in summary.statuses.items()}
    for what, count in counts.items():
        table.add_row(what, f"{count:,}")
    return table


def _teams(summary: Summary) -> Table:
    named = summary.teams[0] if summary.teams else {"policy": "", "policy_version": ""}
    table = Table(title=f"Teams, by policy {named['policy']} {named['policy_version']}")
    for name in ("team", "places", "listed", "held out", "worth", "one more contact"):
        table.add_column(name, justify="left" if name == "team" else "right")
    for row in summary.teams:
        counts = (f"{row[name]:,}" for name in ("capacity", "listed", "held_out"))
        money = (f"{row[name]:,.2f}" for name in ("expected_value", "shadow_price"))
        table.add_row(str(row["team"]), *counts, *money)
    return table


def _top(summary: Summary) -> Table:
    table = Table(title=f"Top of the outreach list ({summary.outreach.rows:,} customers)")
    for name in ("rank", "customer", "churn", "value", "worth a call", "first reason"):
        table.add_column(name, justify="left" if name in ("customer", "first reason") else "right")
    for row in summary.top:
        table.add_row(
            str(row["rank"]),
            str(row["customer_id"]),
            f"{row['probability']:.1%}",
            f"{row['customer_value']:,.0f}",
            f"{row['expected_value']:,.2f}",
            str(row["reason_1_value"] or ""),
        )
    return table
