"""The `churn` command: registers the commands, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from churn.errors import ChurnError
from cli.contract import app as contract_app
from cli.nights import night, outreach, score, train
from cli.simulate import simulate
from store.settings import current_settings, settle_libraries

app = typer.Typer(
    name="churn",
    help="Scores a telecom's customers each night, says why, and decides whom to contact.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(simulate)
app.command()(night)
app.command()(train)
app.command()(score)
app.command()(outreach)
app.add_typer(contract_app, name="contract")

INTERRUPTED = 130


def main() -> None:
    """Runs the command line; the exit code is 0, or the one of the error's family in churn/errors.py."""
    try:
        settle_libraries(current_settings(), quiet=True)
        app()
    except ChurnError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/] ", end="")
        Console(stderr=True, markup=False, highlight=False).print(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
