"""Runs the `churn` command as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHURN = Path(sys.executable).with_name("churn")

Done = subprocess.CompletedProcess[str]


def churn(*arguments: str, home: Path, python: tuple[str, ...] = (), **environment: str) -> Done:
    """The command's exit code and what it said, with data and artifacts below `home`."""
    return run_python(*python, str(CHURN), *arguments, home=home, **environment)


def run_python(*arguments: str, home: Path, **environment: str) -> Done:
    """The same of a Python program."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "PREFECT_"))}
    plain = {"CHURN_HOME": str(home), "CHURN_MODE": "development", "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env=clean | plain | environment,
        check=False,
    )
