"""`churn verify`, `take-back`, `gc` and `storage`: what was published is compared, shown again, removed, and shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from churn.errors import AuditFailed
from cli.terminal import terminal
from store.contracts import read_contract
from store.migrations import bring_up_to_date
from store.publication import Publisher, open_publisher
from store.settings import current_settings

if TYPE_CHECKING:
    from store.verification import Difference  # needs DuckDB, and --help does not

BaseOrAll = Annotated[
    str | None, typer.Option("--contract", help="Contract: a name in schemas/contracts, or a YAML file. Default: all.")
]


app = typer.Typer(help="Share the database between those who may do only a part of the work.", no_args_is_help=True)


@app.command()
def grant(
    prefix: Annotated[str, typer.Option(help="What the names of the roles begin with.")] = "churn",
) -> None:
    """Make the roles of PostgreSQL that may each do one part, with their rights of this release and no others.

    Nobody logs in by them: grant them to the users of the database.
    """
    from store.roles import grant_roles

    engine = open_publisher(current_settings()).engine
    bring_up_to_date(engine)
    for role, name in grant_roles(engine, prefix).items():
        typer.echo(f"{role:9}  GRANT {name} TO ...")


def verify(
    contract: BaseOrAll = None,
    rebuild: Annotated[
        Literal["files", "tables"] | None,
        typer.Option(help="Mend this copy of a run that differs from the other one, and the pointer of the files."),
    ] = None,
) -> None:
    """Compare published runs, and what they were made from, with what lies there; exit code 9 where one differs."""
    from store.verification import verified

    publisher, console = open_publisher(current_settings()), terminal(unbroken=True)
    runs = wrong = 0
    for run, found in verified(publisher, read_contract(contract).name if contract else None):
        left = _mended(publisher, found, rebuild, console) if found and rebuild else found
        for line in [f"differs      {difference}" for difference in left] or [f"as published {run}"]:
            console.print(line, style="red" if left else "green")
        runs, wrong = runs + 1, wrong + bool(left)
    if wrong:
        raise AuditFailed(
            f"{wrong} of {runs} published runs are not as they were published",
            to_do="Mend them with --rebuild files or --rebuild tables; what both copies lost has to be scored again.",
        )
    _look_around(publisher, rebuild, console)
    console.print(f"{runs} published runs, each as it was published.")


def take_back(
    run: Annotated[str, typer.Argument(help="Name of the run, as `score_history` and `night_status` have it.")],
) -> None:
    """Show a night's earlier run to its readers again, as a new revision; who reads newer nights sees no change."""
    from store.rollback import roll_back

    shown = roll_back(open_publisher(current_settings()), run)
    typer.echo(f"{shown.unit}: readers see the rows of run {run}, revision {shown.revision}, run {shown.run_id}")


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, and how much it would free.")
    ] = False,
    retention: Annotated[
        str, typer.Option(help="Retention policy: a name in schemas/retentions, or a YAML file.")
    ] = "default",
) -> None:
    """Remove what the retention policy keeps no longer, never what readers of the newest night see."""
    from store.clearing import cleared
    from store.retention import Going, read_retention

    console, policy = terminal(unbroken=True), read_retention(retention)
    total, retired = Going("all", str(policy), Path(), 0), False
    for going, gone in cleared(open_publisher(current_settings()), policy, dry_run=dry_run):
        told = "would go" if dry_run else "gone    " if gone else "retired " if going.in_sight else "held    "
        console.print(f"{told} {going}", style="green" if gone or dry_run else "yellow")
        retired |= going.in_sight
        if gone or dry_run:
            total = replace(total, bytes=total.bytes + going.bytes, rows=total.rows + going.rows)
    console.print(f"{'This would free' if dry_run else 'Freed'} {total.frees}, by the policy {policy}.")
    if retired:
        later = f"goes the next time from {policy.grace_hours} hours on: one of them may still be at it"
        console.print(f"What readers saw until now {later}.")


def _look_around(publisher: Publisher, rebuild: str | None, console: Console) -> None:
    """AuditFailed where views are missing, which either copy mends, or an extract or a snapshot was changed."""
    from store.rebuilding import rebuild_views
    from store.verification import damaged_workings, missing_views

    missing = missing_views(publisher)
    if missing and rebuild:
        rebuild_views(publisher)
        console.print(f"rebuilt      the views {', '.join(missing)}", style="yellow")
        missing = missing_views(publisher)
    damaged = dict(damaged_workings(publisher))
    for folder, files in damaged.items():
        console.print(f"differs      {folder}: {', '.join(files)}", style="red")
    if missing or damaged:
        raise AuditFailed(
            f"views that are missing: {', '.join(missing) or 'none'}; "
            f"extracts and snapshots that are not as they were written: {len(damaged)}",
            to_do="Make views anew with --rebuild files or tables. Remove the folders of damaged extracts and "
            "snapshots: the next night that needs them writes them again.",
        )


def _mended(
    publisher: Publisher, found: tuple[Difference, ...], rebuild: str, console: Console
) -> tuple[Difference, ...]:
    """What still differs of a run after that copy of it was rebuilt, or could not be."""
    from store.rebuilding import rebuild_side
    from store.verification import Side, verify_run

    run = found[0].run
    try:
        for what in rebuild_side(publisher, found, Side(rebuild), current_settings().buckets):
            console.print(f"rebuilt      {run}: {what}", style="yellow")
    except AuditFailed as refused:
        console.print(f"not rebuilt  {refused}", style="red")
    return verify_run(publisher, run)
