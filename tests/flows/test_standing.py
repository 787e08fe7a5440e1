"""What stands all day says the same wherever it is started: by `make up`, a Procfile or systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
BARE = {"PATH": "/usr/bin:/bin"}
OF_THE_MACHINE = {"PATH", "CHURN_HOME", "CHURN_DATA", "PREFECT_HOME", "PREFECT_API_URL", "PWD", "OLDPWD", "SHLVL", "_"}


def exported() -> dict[str, str]:
    """What a shell that sources deploy/environment hands on."""
    told = subprocess.run(
        ["bash", "-c", ". deploy/environment && env"],
        cwd=DEPLOY.parent, env=BARE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in told.stdout.splitlines())


def of_systemd() -> dict[str, str]:
    lines = (DEPLOY / "systemd" / "churn.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_systemd_and_scripts_say_the_same_to_prefect() -> None:
    shell, systemd = exported(), of_systemd()
    assert {name: shell[name] for name in shell.keys() - OF_THE_MACHINE} == {
        name: value for name, value in systemd.items() if name not in OF_THE_MACHINE | {"CHURN_ZONE"}
    }


def test_nothing_calls_anybody() -> None:
    assert exported()["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert exported()["DO_NOT_TRACK"] == "1"


def test_a_worker_is_missed_after_two_beats_and_a_server_waited_for_an_hour() -> None:
    shell = exported()
    assert int(shell["PREFECT_SERVER_SERVICES_FOREMAN_INACTIVITY_HEARTBEAT_MULTIPLE"]) == 2
    pauses = [2**attempt for attempt in range(1, int(shell["PREFECT_CLIENT_MAX_RETRIES"]) + 1)]
    assert sum(pauses) >= 3600


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_each_unit_runs_as_nobody_special_and_comes_back(unit: Path) -> None:
    text = unit.read_text()
    for line in ("User=churn", "Restart=always", "NoNewPrivileges=true", "ProtectSystem=strict"):
        assert f"\n{line}\n" in text
    assert re.search(r"\nExecStart=/opt/churn/\.venv/bin/", text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="only systemd knows whether it takes a unit")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/churn", str(ROOT)))
    units = [tmp_path / unit.name for unit in UNITS]
    seen = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (seen.returncode, seen.stderr) == (0, "")


def test_the_procfile_starts_what_the_units_do(tmp_path: Path) -> None:
    """Its lines run with programs that only say how they were called."""
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("churn", "prefect"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "deploy").symlink_to(DEPLOY)
    called = [line.partition(": ")[2] for line in (DEPLOY / "Procfile").read_text().splitlines()]
    said = [
        subprocess.run(["sh", "-c", line], cwd=tmp_path, env=BARE, capture_output=True, text=True, check=True).stdout
        for line in called
    ]
    assert said == [
        "prefect server start --host 127.0.0.1 --port 4200\n",
        "churn operators install\nprefect worker start --pool churn --type process\n",
        "churn serve --port 8000\n",
    ]
