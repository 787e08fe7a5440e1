"""`churn operators`: sets the orchestrator up as the repository declares it."""

from __future__ import annotations

import typer

from cli.terminal import terminal
from store.orchestration import current_notices, declared_automations, declared_deployments
from store.settings import current_settings

app = typer.Typer(help="Set the orchestrator up.", no_args_is_help=True)


@app.callback()
def operators() -> None:
    """Set the orchestrator up."""


@app.command()
def install() -> None:
    """Bring pool, deployments and automations of the server at PREFECT_API_URL to what the repository declares."""
    # Prefect takes seconds to import, and --help needs none of it.
    from tasks.automations import install_automations
    from tasks.deployments import deployment_ids, install_deployments, wanted
    from tasks.server import open_server

    console, changes, settings = terminal(unbroken=True), 0, current_settings()
    with open_server() as server:
        deployments = [wanted(one, settings) for one in declared_deployments()]  # while a new server comes up
        server.wait_until_it_answers()
        for change in install_deployments(server, deployments):
            console.print(change)
            changes += 1
        for change in install_automations(server, declared_automations(), deployment_ids(server), current_notices()):
            console.print(change)
            changes += 1
    console.print(f"{changes} changes." if changes else "Everything stands as the repository declares it.")
