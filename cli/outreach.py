"""`churn outreach-export`, `churn outcome` and `churn lift`: hand a list over, take back what came of it, judge it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from churn.errors import PolicyError, RequestError
from churn.handover import handed_over
from churn.lift_figures import COLUMNS, cells
from churn.night import date_of, require_night
from cli.nights import Policy, Source, flow_shown, kept_apart
from cli.terminal import terminal
from schemas.interventions import Event
from schemas.outreach import OUTREACH, TEAMS
from store.contracts import read_contract
from store.exports import export_table
from store.handovers import hand_over
from store.interventions import Refusal, record, wave_events
from store.lake import read_parquet
from store.policies import PolicyInForce, kept_policy
from store.publication import Published, Publisher, open_publisher
from store.settings import current_settings
from store.write_backs import of_listed_nights, read_write_backs

if TYPE_CHECKING:
    from tasks.lift import Measured  # Prefect takes seconds to import, and --help needs none of it

app = typer.Typer(help="Record what came of contacts, and list it.", no_args_is_help=True)

REFUSALS_SHOWN = 10

Contract = Annotated[str, typer.Option(help="Contract of the base: its name, or a YAML file.")]


def outreach_export(
    to: Annotated[Path, typer.Option(help="File to write: .csv, or .parquet.")],
    contract: Contract = "telco",
    as_of: Annotated[str | None, typer.Option(help="Date of the list. Default: the newest.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team's customers.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel's customers.")] = None,
) -> None:
    """Write a published list for a dialler or a CRM: whom to contact, how, and what to say; no score, no money.

    It counts as sent from then on, and no other takes its place.
    """
    publisher = open_publisher(current_settings())
    shown = _published(publisher, read_contract(contract).name, as_of)
    listed = read_parquet(sorted((shown.folder / OUTREACH.name).glob("*.parquet")))
    decided = _policy_of(shown)
    rows = handed_over(listed, team, channel, policy=decided.policy if decided else None)
    export_table(rows, to, before_it_is_there=lambda: hand_over(publisher.engine, shown.unit, shown.run_id))
    typer.echo(f"{rows.num_rows:,} of {listed.num_rows:,} customers of the list of {shown.unit.as_of} are in {to}.")


@app.command(name="record")
def record_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV with a line per event; - for standard input.")],
    contract: Contract = "telco",
) -> None:
    """Record assigned, attempted, reached, offered, accepted and refused; a line that is known changes nothing."""
    sent = read_write_backs(file, read_contract(contract).name)
    listed, unlisted = of_listed_nights(current_settings(), sent.interventions)
    came = record(current_settings(), listed)
    refused = (*sent.refused, *unlisted, *came.refused)
    typer.echo(f"{came.new:,} new, {came.known:,} known already, {len(refused):,} refused")
    _tell_refusals(refused)
    if refused:
        lines = len(sent.refused) + len(sent.interventions)
        raise RequestError(
            f"{len(refused):,} of {lines:,} lines were refused, the others are recorded",
            where=file,
            to_do="Correct these lines and send the whole file again: what is known already changes nothing.",
        )


@app.command(name="list")
def list_(
    contract: Contract = "telco",
    as_of: Annotated[str | None, typer.Option(help="Date of the list. Default: the newest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every event, as one JSON document for scripts.")] = False,
) -> None:
    """List what was written back of a list's contacts, counted by action and event."""
    base = read_contract(contract).name
    day = date_of(as_of, "--as-of") if as_of else _published(open_publisher(current_settings()), base, None).unit.as_of
    events = wave_events(current_settings(), base, day)
    if as_json:
        typer.echo(json.dumps(events.to_pylist(), default=str, indent=1))
    elif events.num_rows:
        terminal().print(_counts(events, f"Written back of {base}'s list of {day}"))
    else:
        typer.echo(f"Nothing was written back of {base}'s list of {day}. `churn outcome record` takes it.")


def lift(
    contract: Contract = "telco",
    as_of: Annotated[str | None, typer.Option(help="Date of one wave, or `latest`. Default: every wave.")] = None,
    known_at: Annotated[str | None, typer.Option(help="Moment up to which facts count. Default: now.")] = None,
    source: Source = None,
    policy: Policy = None,
) -> None:
    """Tell what the lists saved: churn of the listed against those held out, once their horizon is over."""
    require_night(as_of)
    console = terminal()
    with flow_shown(console):
        from flows.outcomes import outcomes

        measured = outcomes(contract, as_of, known_at, kept_apart(source), policy)
    _show_lift(console, measured)


def _show_lift(console: Console, measured: Measured) -> None:
    if not measured.lifts:
        console.print(
            f"No list of {measured.base} can be measured yet; {len(measured.waiting)} wait for their horizon."
        )
        return
    table = Table(*COLUMNS, title=f"What waves of {measured.base} saved, known at {measured.known_at:%Y-%m-%d %H:%M}")
    for one in measured.lifts:
        table.add_row(*cells(one))
    console.print(table)
    for one in measured.lifts:
        if one.alarm:
            console.print("Alarm", style="bold red", end="")
            console.print(f" {one.dates}, {one.action}: {one.alarm}", highlight=False)
    console.print(measured.lifts[0].says, highlight=False)
    for learnt in measured.learnt:
        console.print(learnt, highlight=False)
    console.print(f"drawing: {measured.plot}", soft_wrap=True, highlight=False)


def _policy_of(shown: Published) -> PolicyInForce | None:
    """What decided the list; None where it is kept no longer, or is none by this release's rules."""
    by_team = read_parquet(sorted((shown.folder / TEAMS.name).glob("*.parquet")), ["policy_digest"])
    with suppress(PolicyError):
        return kept_policy(by_team["policy_digest"][0].as_py(), current_settings()) if by_team.num_rows else None
    return None


def _published(publisher: Publisher, base: str, as_of: str | None) -> Published:
    kind = OUTREACH.name
    shown = publisher.published(base, kind, date_of(as_of, "--as-of")) if as_of else publisher.current(base, kind)
    if shown is None:
        raise RequestError(
            "no list was published", where=f"{base}, as of {as_of or 'any date'}", to_do="`churn outreach` decides one."
        )
    return shown


def _tell_refusals(refused: tuple[Refusal, ...]) -> None:
    for one in refused[:REFUSALS_SHOWN]:
        typer.echo(f"  {one.key}: {one.why}")
    if len(refused) > REFUSALS_SHOWN:
        typer.echo(f"  and {len(refused) - REFUSALS_SHOWN:,} more")


def _counts(events: pa.Table, title: str) -> Table:
    counts = events.group_by(["action", "event"]).aggregate([("key", "count")]).to_pylist()
    found = {(row["action"], row["event"]): row["key_count"] for row in counts}
    table = Table("action", title=title)
    for event in Event:
        table.add_column(event.value, justify="right")
    for action in sorted({action for action, _ in found}):
        table.add_row(action, *(f"{found.get((action, event.value), 0):,}" for event in Event))
    return table
