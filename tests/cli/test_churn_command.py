"""The `churn` command as a user meets it: help at once, and errors as a sentence with an exit code."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from churn.errors import ChurnError, ContractError, PolicyError, RequestError, SourceMismatch, SourceMissing
from cli.app import app
from store.publication import open_publisher
from store.settings import current_settings
from tests.command import churn, churn_here, run_python
from tests.end_to_end.nights import living_in
from tests.waves import asked, publish_wave

COMMANDS = ("simulate", "night", "train", "score", "outreach", "backfill", "catch-up", "verify", "gc", "contract")


def test_help_names_every_command_and_needs_no_orchestrator(tmp_path: Path) -> None:
    done = churn("--help", home=tmp_path, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    assert imported & {"churn", "typer"}
    assert not imported & {"prefect", "great_expectations", "sklearn", "pandas", "interpret"}


def test_the_help_of_a_night_explains_each_option(tmp_path: Path) -> None:
    shown = churn_here("night", "--help", home=tmp_path).stdout
    for option in ("--contract", "--as-of", "--known-at", "--source", "--policy", "--force", "--evaluate"):
        line = next(line for line in shown.splitlines() if option in line)
        assert len(line.replace(option, "").strip("│ ")) > 20


def test_the_help_of_dates_says_what_they_are_for() -> None:
    shown = {name: " ".join(CliRunner().invoke(app, [name, "--help"]).output.split()) for name in ("night", "train")}
    assert "Date to score" in shown["night"]
    assert "latest" in shown["night"]
    assert "Date to score" not in shown["train"]


REFUSED_AT_ONCE = [
    ("night --contract nobody", ContractError, "nobody: there is no contract of that name"),
    ("night --as-of 2099-13-01", RequestError, "as_of: '2099-13-01' is no date"),
    ("lift --as-of 2026-02-30", RequestError, "as_of: '2026-02-30' is no date"),
    ("score --known-at 2099-01-01T00:00", RequestError, "known_at: 2099-01-01 00:00:00 has not come yet"),
    ("outreach --policy nobody", PolicyError, "nobody: cannot be read"),
    ("train --gate nobody", PolicyError, "nobody"),
    ("train --source nothing.csv", SourceMissing, "nothing.csv: there is no such file or folder"),
    ("night --source bills.csv", SourceMismatch, "bills.csv: one file holds one table"),
    ("night --contract ibm_telco --source bills.csv", SourceMismatch, "bills.csv, table customers: .*missing: "),
    ("backfill --from 2026-02-30 --to 2026-03-01", RequestError, "first: '2026-02-30' is no date"),
    ("catch-up --until 2099-01-01", RequestError, "until: 2099-01-01 has not come yet"),
]


@pytest.mark.parametrize(("command", "error", "told"), REFUSED_AT_ONCE, ids=[case[0] for case in REFUSED_AT_ONCE])
def test_what_cannot_be_is_refused_before_the_orchestrator_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, command: str, error: type[ChurnError], told: str
) -> None:
    (tmp_path / "bills.csv").write_text("customer,bill\nC1,12.50\n")
    monkeypatch.chdir(tmp_path)
    with living_in(tmp_path):
        result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, error), result.exception
    assert re.match(told, str(result.exception))
    assert "orchestrator" not in result.output


@pytest.mark.parametrize("variable", ["CHURN_DATA", "CHURN_ARTIFACTS"])
def test_a_place_that_cannot_be_written_is_refused_without_the_orchestrator(tmp_path: Path, variable: str) -> None:
    done = churn("night", home=tmp_path, python=("-X", "importtime"), **{variable: "/dev/null/here"})
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 3
    assert said[0].startswith(f"SettingsError {variable}")
    assert not re.search(r"\| +prefect$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("night --source nothing.csv", "nothing.csv: there is no such file or folder"),
        ("night --policy broken.yaml", "broken.yaml: is not YAML: "),
        ("outreach --policy broken.yaml", "broken.yaml: is not YAML: "),
    ],
)
def test_a_night_that_cannot_begin_is_told_of_in_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, reason: str
) -> None:
    (tmp_path / "broken.yaml").write_text("name: [")
    monkeypatch.chdir(tmp_path)
    with living_in(tmp_path):
        CliRunner().invoke(app, [*command.split(), "--as-of", "2026-01-01"])
    with closing(sqlite3.connect(tmp_path / "data" / "churn.db")) as database:
        [(as_of, state, why)] = database.execute("SELECT as_of, last_state, reason FROM night_status").fetchall()
    assert (as_of, state, why[: len(reason)]) == ("2026-01-01", "failed", reason)


@pytest.mark.parametrize(
    "command",
    [
        "night --source nothing.csv",
        "outreach --policy nobody",
        "outreach --policy broken.yaml",
        "score --source nothing.csv",
        "train --source nothing.csv",
    ],
)
def test_a_published_night_has_not_failed_for_what_somebody_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "broken.yaml").write_text("name: [")
    monkeypatch.chdir(tmp_path)
    with living_in(tmp_path):
        publish_wave(open_publisher(current_settings()), date(2026, 1, 1), listed=[0])
        refused = CliRunner().invoke(app, [*command.split(), "--as-of", "2026-01-01"]).exception
        states = asked(current_settings(), "SELECT kind, last_state FROM night_status ORDER BY kind")
        alerts = asked(current_settings(), "SELECT * FROM night_alerts")
    assert isinstance(refused, ChurnError)
    assert [row["last_state"] for row in states] == ["published", "published"]
    assert alerts == []


def test_a_night_has_not_failed_where_a_training_did_that_was_to_learn_up_to_its_date(tmp_path: Path) -> None:
    with living_in(tmp_path):
        CliRunner().invoke(app, ["train", "--source", "nothing.csv", "--as-of", "2026-01-01"])
        open_publisher(current_settings())
        assert asked(current_settings(), "SELECT * FROM night_alerts") == []


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        (("contract", "check", "nobody"), {}, 4, "ContractError nobody: there is no contract of that name"),
        (("simulate", "--to", "mysql://root:secret@db/telco"), {}, 2, "cannot write a simulation to a mysql URL"),
        (("contract", "check", "telco"), {"CHURN_ZONE": "Moon"}, 3, "SettingsError CHURN_ZONE: 'Moon' is no time zone"),
        (("contract", "check", "telco"), {"CHURN_DUE": "dawn"}, 3, "SettingsError CHURN_DUE: 'dawn' is no time of the"),
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


def test_ctrl_c_ends_any_command_with_a_word(tmp_path: Path) -> None:
    deaf_no_more = "signal.signal(2, signal.default_int_handler)"  # as who runs in the background was started
    pressed = f"{deaf_no_more}; app.command('wait')(lambda: signal.raise_signal(2)); main()"
    done = run_python("-c", f"import signal; from cli.app import app, main; {pressed}", "wait", home=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "Stopped Ctrl-C was pressed.\n"
