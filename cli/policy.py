"""`churn policy`: checks a decision policy, and tries it on a published night before it goes live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from churn.night import date_of
from churn.policy import require_columns
from cli.terminal import terminal
from store.contracts import read_contract
from store.policies import read_policy

if TYPE_CHECKING:
    from tasks.policy_trial import Trial  # Prefect takes seconds to import, and --help needs none of it

app = typer.Typer(help="Check a decision policy, and try it before it goes live.", no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE", help="The path of a YAML file, or the name of a shipped policy.")]
Contract = Annotated[str, typer.Option(help="Contract: a name in schemas/contracts, or a YAML file.")]


@app.command()
def check(file: File, contract: Contract = "telco") -> None:
    """Say whether a policy is sound and fits a contract; if not, each field and what to do."""
    rules = read_policy(file)
    require_columns(rules.policy, read_contract(contract))
    policy = rules.policy
    teams = ", ".join(f"{team.name} {team.capacity:,}" for team in policy.teams)
    challenged = policy.challenger_traffic.share
    shares = f"{policy.holdout.share:.0%} held out" + (f", {challenged:.0%} a challenger's" if challenged else "")
    typer.echo(
        f"{file} is sound and fits {contract}: {policy.name} {policy.version}, {len(policy.actions)} actions, "
        f"{policy.capacity:,} contacts a day ({teams}), {shares}, digest {rules.digest}"
    )


@app.command("dry-run")
def dry_run(
    file: File,
    as_of: Annotated[str, typer.Option(help="A published night, such as 2026-01-01.")],
    contract: Contract = "telco",
) -> None:
    """Show what the list of a published night would have been, beside the one that is there; writes nothing."""
    day = date_of(as_of, "--as-of")
    from tasks.policy_trial import tried_on

    _show(terminal(), tried_on(contract, file, day))


def gain_in_words(money: float) -> str:
    """What the tried policy believes; under half a cent it is nothing, whatever sign floats leave it."""
    cents = round(money, 2)
    than = "as much as" if not cents else f"{abs(cents):,.2f} {'more' if cents > 0 else 'less'} than"
    return f"By its own beliefs this policy earns {than} the one in force."


def _show(console: Console, trial: Trial) -> None:
    table = Table(title=f"List of {trial.as_of}")
    for name in ("what", "this policy", "in force"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for row in _rows(trial):
        table.add_row(*row)
    console.print(table)
    if trial.measured:
        console.print(f"Valued by measured effects: {', '.join(trial.measured)}; others by the policy's beliefs.")
    if trial.believed is None or trial.gained is None:
        console.print("No list of that night is published.")
        return
    told = f"{trial.in_both:,} customers are on both lists. {gain_in_words(trial.gained)}"
    without = trial.believed.without_action
    silent = f" It has no action for {without:,} of the list in force, who count nothing." if without else ""
    console.print(told + silent)


def _rows(trial: Trial) -> list[tuple[str, str, str]]:
    tried, in_force = trial.tried, trial.in_force
    there = in_force.statuses if in_force else {}
    rows = [
        (
            status.replace("_", " "),
            f"{tried.statuses.get(status, 0):,}",
            f"{there[status]:,}" if status in there else "",
        )
        for status in dict.fromkeys([*tried.statuses, *there])
    ]
    money = f"{trial.believed.money:,.2f}" if trial.believed else ""
    rows.append(("expected money, by this policy", f"{tried.money:,.2f}", money))
    return [*rows, ("expected money, by the one in force", "", f"{in_force.money:,.2f}")] if in_force else rows
