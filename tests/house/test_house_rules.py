"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("api", "churn", "cli", "flows", "schemas", "store", "tasks")
OUTSIDE_THE_ROOMS = {"tests", "benchmarks"}
# A worker of the service keeps below 130 MB without them; what asks for one of them loads it then.
NO_LOOK_UP_NEEDS = ("pyarrow.compute", "pyarrow.parquet", "duckdb", "alembic", "redis", "httpx", "jinja2")
NAMES_FOR_DRAWERS = {"utils", "helpers", "common", "core", "manager", "base", "misc"}


def modules() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_every_folder_with_python_is_under_contract() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in listed.splitlines()}
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert folders - OUTSIDE_THE_ROOMS == set(pyproject["tool"]["importlinter"]["root_packages"]) == set(ROOMS)


def test_no_flow_is_named_like_a_room() -> None:
    """Prefect loads an entrypoint's folder onto the path, where flows/store.py would hide the room store."""
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & set(ROOMS)


def test_commands_print_on_no_console_of_their_own() -> None:
    """One that reads markup in what people wrote would hide it, or fail on it."""
    own = [path.name for path in (ROOT / "cli").glob("*.py") if "Console(" in path.read_text()]
    assert own == ["terminal.py"]


def test_no_module_is_a_drawer() -> None:
    assert not [path for path in modules() if path.stem in NAMES_FOR_DRAWERS]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    head = docstring.partition("\n")[0]
    assert head.endswith("."), "the first line is no sentence"
    assert len(head) <= 120


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("*.py")), ids=lambda path: path.stem)
def test_beside_the_standard_library_a_flow_imports_tasks_and_prefect_alone(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    imported |= {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert imported - sys.stdlib_module_names <= {"prefect", "tasks", "flows"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("api.app", ("prefect", "great_expectations", "sklearn", "pandas", "interpret", *NO_LOOK_UP_NEEDS)),
        ("churn.scoring", ("sklearn", "pandas", "interpret", "prefect")),
        ("tasks.quality", ("great_expectations",)),
        ("cli.app", ("prefect", "great_expectations", "sklearn", "pandas", "interpret")),
    ],
)
def test_importing_stays_light(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {unwanted!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
