"""The `churn` command: registers the commands, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback

import typer

from churn.errors import ChurnError, Stopped
from cli.alarm import app as alarm_app
from cli.contract import app as contract_app
from cli.model import app as model_app
from cli.nights import night, outreach, score, train
from cli.operators import app as operators_app
from cli.outreach import app as outcome_app
from cli.outreach import lift, outreach_export
from cli.policy import app as policy_app
from cli.receipt import receipt
from cli.serve import serve
from cli.simulate import simulate
from cli.storage import app as storage_app
from cli.storage import gc, take_back, verify
from cli.terminal import terminal
from cli.upkeep import backfill, catch_up
from cli.user import app as user_app
from store import signatures
from store.faults import keep_fault
from store.settings import current_settings, settle_libraries
from tasks.progress import LOGGER as PROGRESS

app = typer.Typer(
    name="churn",
    help="Scores a telecom's customers each night, says why, and decides whom to contact.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(simulate)
app.command()(serve)
app.command()(night)
app.command()(train)
app.command()(score)
app.command()(outreach)
app.command()(outreach_export)
app.command()(receipt)
app.command()(lift)
app.command()(backfill)
app.command()(catch_up)
app.command()(verify)
app.command()(take_back)
app.command()(gc)
app.add_typer(contract_app, name="contract")
app.add_typer(model_app, name="model")
app.add_typer(policy_app, name="policy")
app.add_typer(outcome_app, name="outcome")
app.add_typer(user_app, name="user")
app.add_typer(alarm_app, name="alarm")
app.add_typer(storage_app, name="storage")
app.add_typer(operators_app, name="operators")

UNEXPECTED = 70  # as sysexits.h names an internal error


def main() -> None:
    """Runs the command line; the exit code is 0, or the one of the error's family in churn/errors.py."""
    try:
        settle_libraries(current_settings(), quiet=True)
        for logger in (signatures.LOGGER, PROGRESS):
            logger.addHandler(_Aloud(logging.WARNING))
        logging.raiseExceptions = False  # else Prefect writes past its own log what a lost server did not take
        app()
    except ChurnError as error:
        _complain(type(error).__name__, str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("Stopped", "Ctrl-C was pressed.")
        sys.exit(Stopped.exit_code)
    except SystemExit as end:
        if end.code == Stopped.exit_code:  # typer has made it of a KeyboardInterrupt, without a word
            _complain("Stopped", "Ctrl-C was pressed.")
        raise
    except Exception as error:  # a fault of the program: a line for the user, the rest for whoever mends it
        details = keep_fault(traceback.format_exc(), current_settings())
        _complain("Unexpected", f"{type(error).__name__}: {error}\n  The details are in {details}.")
        sys.exit(UNEXPECTED)


class _Aloud(logging.Handler):
    """Tells a person what Prefect's quiet console would keep from him."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the warning."""
        _say("Warning", record.getMessage(), "bold yellow")


def _complain(kind: str, sentence: str) -> None:
    _say(kind, sentence, "bold red")


def _say(heading: str, sentence: str, style: str) -> None:
    console = terminal(errors=True, unbroken=True)
    console.print(heading, style=style, end="")
    console.print(f" {sentence}")
