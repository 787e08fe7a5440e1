"""`churn receipt`: tells everything that led to one customer's score and place on the list, reckoned again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from churn.night import date_of
from churn.receipt import for_agent
from cli.terminal import terminal
from schemas.receipt import AgentReceipt, Decision, Receipt, Score
from store.contracts import read_contract
from store.settings import current_settings

Facts = Mapping[str, object]


def receipt(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Key of the customer.")],
    as_of: Annotated[str | None, typer.Option(help="Date of the night. Default: the newest.")] = None,
    contract: Annotated[str, typer.Option(help="Contract: a name in schemas/contracts, or a YAML file.")] = "telco",
    layout: Annotated[Literal["text", "json"], typer.Option("--format", help="For a person, or for scripts.")] = "text",
    agent: Annotated[
        bool, typer.Option("--for-agent", help="Only what whoever talks to the customer may read: no figures.")
    ] = False,
) -> None:
    """Tell all that led to a customer's score and place of a night, recomputed; exit code 9 where it is not equal."""
    from store.receipts import receipts_of  # brings the compiler of look-ups, which --help need not wait for

    base = read_contract(contract)
    (made,) = receipts_of(current_settings(), base, [customer], date_of(as_of, "--as-of") if as_of else None)
    told = for_agent(made, base) if agent else made
    if layout == "json":
        typer.echo(told.model_dump_json(indent=1))
    elif isinstance(told, Receipt):
        _show(terminal(), told)
    else:
        _show_to_agent(terminal(), told)


def _show(console: Console, made: Receipt) -> None:
    console.print(
        f"{made.customer_id} of {made.contract} as of {made.as_of}, facts known by {made.known_at:%Y-%m-%d %H:%M}",
        style="bold",
        highlight=False,
    )
    console.print(_pairs("Score", _score(made.score)))
    console.print(_terms(made.score))
    if made.decision:
        console.print(_pairs("Decision", _decision(made.decision)))
        console.print(_offers(made.decision))
    if made.facts:
        console.print(_pairs("What was known", {fact.title: fact.value for fact in made.facts}))
    events: Facts = {
        f"{one.occurred_at:%Y-%m-%d %H:%M}": f"{one.event}, {one.channel}, {one.agent}" for one in made.outcomes
    }
    console.print(_pairs("What came of it, UTC", events) if events else "Nothing was written back of a contact.")
    console.print(f"{len(made.recomputed)} published fields were recomputed from storage and are equal to the bit.")
    for gone in made.missing:
        console.print(f"Missing: {gone}.", style="yellow", highlight=False)


def _show_to_agent(console: Console, told: AgentReceipt) -> None:
    console.print(f"{told.customer_id} as of {told.as_of}", style="bold", highlight=False)
    console.print(told.agent_says or "This customer is not on the list.", highlight=False)
    for reason in told.reasons:
        console.print(f"- {reason}", highlight=False)


def _score(score: Score) -> Facts:
    return {
        "run": f"{score.run_id}, revision {score.revision}",
        "model": f"version {score.model_version}, {score.model_digest}",
        "contract": score.contract_digest,
        "segment": score.segment,
        "probability": score.probability,
        "log-odds": score.log_odds,
        "risk": f"{score.band}, at or above {score.percentile} % of the base",
        "customer value": score.customer_value,
    }


def _terms(score: Score) -> Table:
    """Every term, the largest first; above them the intercept, below them the sum."""
    table = Table(title="Log-odds")
    for name in ("term", "the customer has", "adds"):
        table.add_column(name, justify="right" if name == "adds" else "left")
    table.add_row("intercept", "", _signed(score.intercept))
    for term in sorted(score.terms, key=lambda term: -abs(term.log_odds)):
        table.add_row(term.feature, term.value, _signed(term.log_odds))
    table.add_row("sum", "", _signed(score.log_odds), style="bold")
    return table


def _decision(decision: Decision) -> Facts:
    return {
        "run": f"{decision.run_id}, revision {decision.revision}",
        "policy": f"{decision.policy} {decision.policy_version}, {decision.policy_digest}",
        "status": decision.status,
        "rule": decision.rule,
        "arm": decision.arm,
        "decided by": decision.model_arm and f"the {decision.model_arm}, model {decision.model_digest}",
        "action": decision.action,
        "channel": decision.channel,
        "team": decision.team,
        "rank": decision.rank,
        "expected value": decision.expected_value,
        "effects in force": decision.uplift_digest,
        "last on the team's list": decision.cut,
        "one more contact of the team": decision.shadow_price,
        "in the wave since": decision.wave_since,
        "the agent reads": decision.agent_says,
    }


def _offers(decision: Decision) -> Table:
    table = Table(title="Actions")
    for name in ("action", "channel", "is meant for him", "cause", "keeps", "expected value"):
        table.add_column(name, justify="right" if name in ("keeps", "expected value") else "left")
    for one in decision.offers:
        figures = (_in_words(one.keep_probability), _in_words(one.expected_value))
        table.add_row(one.action, one.channel, "yes" if one.answers else "no", one.cause or "", *figures)
    return table


def _pairs(title: str, facts: Facts) -> Table:
    table = Table(title=title, show_header=False)
    for name, value in facts.items():
        table.add_row(name, _in_words(value))
    return table


def _in_words(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _signed(value: float | None) -> str:
    return "not known any more" if value is None else f"{value:+.6f}"
