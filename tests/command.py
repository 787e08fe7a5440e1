"""Runs the `churn` command as a user does, in a process of its own; or here, where the process is not what matters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from churn.errors import ChurnError
from cli.app import app

CHURN = Path(sys.executable).with_name("churn")

Done = subprocess.CompletedProcess[str]


def churn(*arguments: str, home: Path, python: tuple[str, ...] = (), **environment: str) -> Done:
    """The command's exit code and what it said, with data and artifacts below `home`."""
    return run_python(*python, str(CHURN), *arguments, home=home, **environment)


def churn_here(*arguments: str, home: Path, **environment: str) -> Done:
    """The same without a process of its own, whose imports take seconds."""
    with pytest.MonkeyPatch.context() as here:
        here.chdir(home)
        for name, value in {**_plain(home), **environment}.items():
            here.setenv(name, value)
        result = CliRunner().invoke(app, arguments)
    code, said = result.exit_code, result.stderr
    if isinstance(result.exception, ChurnError):
        code, said = result.exception.exit_code, f"{said}{type(result.exception).__name__} {result.exception}"
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(arguments, code, result.stdout, said)


def run_python(*arguments: str, home: Path, **environment: str) -> Done:
    """The same of a Python program."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env=clean | _plain(home) | environment,
        check=False,
    )


def _plain(home: Path) -> dict[str, str]:
    return {"CHURN_HOME": str(home), "CHURN_MODE": "development", "COLUMNS": "200", "NO_COLOR": "1"}
