"""`churn alarm`: which alarms there were, and who does not want to be told of one for a while."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from churn.alarms import Mute
from churn.errors import RequestError
from churn.night import date_of
from cli.terminal import terminal
from schemas.monitoring import EVERYTHING
from store.contracts import read_contract
from store.monitoring import alarms_since, mute, mutes_of
from store.settings import current_settings

app = typer.Typer(help="Show alarms, and mute one for a while.", no_args_is_help=True)

DAYS_SHOWN = 30
LONGEST_MUTE = timedelta(days=92)

Contract = Annotated[str, typer.Option(help="Contract of the base: its name, or a YAML file.")]


@app.command(name="list")
def list_(
    contract: Contract = "telco",
    since: Annotated[str | None, typer.Option(help=f"First night. Default: {DAYS_SHOWN} days ago.")] = None,
) -> None:
    """Show the alarms of the last nights: what happened, what it costs, and what to do first."""
    day = date_of(since, "--since") if since else _today() - timedelta(days=DAYS_SHOWN)
    base, console = read_contract(contract).name, terminal(unbroken=True)
    rows = alarms_since(current_settings(), base, day).to_pylist()
    for row in rows:
        money = "" if row["money"] is None else f", {row['money']:,.0f} a list"
        console.print(f"{row['as_of']} {row['state']}: {row['kind']} {row['subject']}{money}", style="bold")
        console.print(f"  {row['says']}\n  {row['to_do']}")
    if not rows:
        console.print(f"No alarm of {base} since {day}.")


@app.command(name="mute")
def mute_(
    subject: Annotated[str, typer.Argument(help=f"Feature, or what else `churn alarm list` names; {EVERYTHING}.")],
    until: Annotated[str, typer.Option(help="Last night that it holds for, such as 2026-02-01.")],
    who: Annotated[str, typer.Option(help="Who asks for it.")],
    why: Annotated[str, typer.Option(help="The reason, for those who wonder later.")],
    contract: Contract = "telco",
) -> None:
    """Tell nobody of this alarm until a date; each night still writes it down, as muted. A later mute replaces it."""
    day, base = date_of(until, "--until"), read_contract(contract).name
    if day - _today() > LONGEST_MUTE:
        raise RequestError(
            f"{day} is more than {LONGEST_MUTE.days} days ahead", where="--until", to_do="Mute it for a while only."
        )
    mute(current_settings(), base, Mute(subject, day, who), why)
    typer.echo(f"{subject} of {base} is muted until {day} by {who}.")


@app.command()
def mutes(contract: Contract = "telco") -> None:
    """Show who has muted what, until when."""
    table = Table()
    for head in ("subject", "until", "who"):
        table.add_column(head)
    for one in mutes_of(current_settings(), read_contract(contract).name):
        table.add_row(one.subject, str(one.until), one.who)
    terminal().print(table)


def _today() -> date:
    return datetime.now(current_settings().zone).date()
