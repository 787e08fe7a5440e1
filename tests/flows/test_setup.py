"""`make setup` goes on from wherever an earlier try ended, and brings no environment along to another place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.standing import ROOT

# Debian's Python: it makes an environment, and without one more package it leaves it without pip, and fails.
PYTHON = """
case "$*" in
    "-c "*) exit 0 ;;
    "-m venv --clear .venv")
        rm -rf .venv && mkdir -p .venv/bin && cp "$MACHINE/python3.11" .venv/bin/python
        [ -e "$MACHINE/package" ] && touch .venv/pip ;;
    "-m pip --version") [ -e .venv/pip ] ;;
    "-m pip install "*) [ -e .venv/pip ] && cp "$MACHINE/uv" .venv/bin/uv ;;
esac
"""


class Machine:
    """A machine whose Python and uv only leave a trace of what they were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program("python3.11", PYTHON)
        self.program("uv", 'echo "$PWD: $*" >> "$MACHINE/asked"')
        self.program("id", "echo 1000")  # root would install the package by itself

    def program(self, name: str, does: str) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def install_package(self) -> None:
        (self.folder / "package").touch()

    def set_up(self, checkout: Path) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            [checkout / "scripts" / "setup"], env={"PATH": path, "MACHINE": str(self.folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def installs(self) -> int:
        asked = self.folder / "asked"
        return asked.read_text().count("--editable .") if asked.exists() else 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", folder / "scripts")
    (folder / "requirements.lock").write_text("uv==1.0 \\\n    --hash=sha256:0\nwheel==1.0\n")
    (folder / "pyproject.toml").touch()
    return folder


def test_once_the_missing_package_is_there_the_next_try_succeeds(machine: Machine, checkout: Path) -> None:
    failed = machine.set_up(checkout)
    assert (failed.returncode, "install the package python3.11-venv" in failed.stderr) == (1, True)
    assert (checkout / ".venv/bin/python").exists(), "as Debian's leaves it"
    machine.install_package()
    assert machine.set_up(checkout).returncode == 0
    assert machine.installs() == 1


def test_nothing_is_installed_twice(machine: Machine, checkout: Path) -> None:
    machine.install_package()
    assert [machine.set_up(checkout).returncode for _ in range(2)] == [0, 0]
    assert machine.installs() == 1


def test_an_environment_is_kept_when_the_lock_changes(machine: Machine, checkout: Path) -> None:
    machine.install_package()
    machine.set_up(checkout)
    (checkout / ".venv/of-mine").touch()
    (checkout / "pyproject.toml").write_text("changed")
    assert machine.set_up(checkout).returncode == 0
    assert machine.installs() == 2
    assert (checkout / ".venv/of-mine").exists()


@pytest.mark.parametrize("brought", [shutil.copytree, shutil.move])
def test_a_checkout_that_was_copied_or_moved_gets_an_environment_of_its_own(
    machine: Machine, checkout: Path, brought
) -> None:
    """The commands in the old one, and the rooms that they import, are those of the old place."""
    machine.install_package()
    machine.set_up(checkout)
    (checkout / ".venv/of-the-old-place").touch()
    other = checkout.with_name("other")
    brought(checkout, other)
    assert machine.set_up(other).returncode == 0
    assert machine.installs() == 2
    assert not (other / ".venv/of-the-old-place").exists()
