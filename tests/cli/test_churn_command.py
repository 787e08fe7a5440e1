"""The `churn` command as a user meets it: help at once, and errors as a sentence with an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import churn

COMMANDS = ("simulate", "night", "train", "score", "outreach", "backfill", "catch-up", "verify", "gc", "contract")


def test_help_names_every_command_and_needs_no_orchestrator(tmp_path: Path) -> None:
    done = churn("--help", home=tmp_path, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    assert imported & {"churn", "typer"}
    assert not imported & {"prefect", "great_expectations", "sklearn", "pandas", "interpret"}


def test_the_help_of_a_night_explains_each_option(tmp_path: Path) -> None:
    shown = churn("night", "--help", home=tmp_path).stdout
    for option in ("--contract", "--as-of", "--known-at", "--source", "--policy", "--force", "--evaluate"):
        line = next(line for line in shown.splitlines() if option in line)
        assert len(line.replace(option, "").strip("│ ")) > 20


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        (("contract", "check", "nobody"), {}, 4, "ContractError nobody: there is no contract of that name"),
        (("simulate", "--to", "mysql://root:secret@db/telco"), {}, 2, "cannot write a simulation to a mysql URL"),
        (("contract", "check", "telco"), {"CHURN_ZONE": "Moon"}, 3, "SettingsError CHURN_ZONE: 'Moon' is no time zone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_is_a_sentence_on_stderr_and_an_exit_code(
    tmp_path: Path, *, arguments: tuple[str, ...], environment: dict[str, str], code: int, told: str
) -> None:
    done = churn(*arguments, home=tmp_path, **environment)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""
