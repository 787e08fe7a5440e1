"""Nothing in the rooms loads what runs code when it is loaded, and skops has one door with a list of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.test_house_rules import ROOT, modules

DOOR = ROOT / "store" / "estimators.py"
PACKAGES = {"pickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "mlflow", "torch"}
FUNCTIONS = {"joblib.load", "pandas.read_pickle", "pd.read_pickle", "skops.io.get_untrusted_types"}

FOUND = [
    # code                                                  what it breaks
    ("import pickle", {"pickle"}),
    ("def read():\n    from pickle import loads", {"pickle"}),
    ("import mlflow.skops", {"mlflow"}),
    ("import joblib\njoblib.load(file)", {"joblib.load"}),
    ("from joblib import load", {"joblib.load"}),
    ("frame = pd.read_pickle(file)", {"pd.read_pickle"}),
    ("from skops.io import get_untrusted_types", {"skops.io.get_untrusted_types"}),
    ("np.load(file, allow_pickle=True)", {"allow_pickle"}),
    ("np.load(file, allow_pickle=trusted)", {"allow_pickle"}),
    ("np.load(file, allow_pickle=False)", set()),
    ("from joblib import Parallel", set()),
]


def breaches(code: str) -> set[str]:
    """What in the code would load a pickle, or trust what a file asks for."""
    tree = ast.parse(code)
    named = imported(tree) | {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    packages = {name.partition(".")[0] for name in imported(tree)} & PACKAGES
    return (
        packages | named & FUNCTIONS | {"allow_pickle" for value in keywords(tree, "allow_pickle") if value != "False"}
    )


def imported(tree: ast.AST) -> set[str]:
    """Every name that is imported, in full."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def keywords(tree: ast.AST, name: str) -> list[str]:
    """The values that calls give to the keyword."""
    return [ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == name]


@pytest.mark.parametrize(("code", "broken"), FOUND)
def test_each_way_to_load_a_pickle_is_found(code: str, broken: set[str]):
    assert breaches(code) == broken


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_loads_a_pickle(path: Path):
    assert not breaches(path.read_text())


def test_skops_has_one_door():
    assert [path for path in modules() if "skops" in packages_of(path)] == [DOOR]


def test_skops_is_told_our_list_and_never_the_files_own():
    assert keywords(ast.parse(DOOR.read_text()), "trusted") == ["TRUSTED"]


def packages_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(ast.parse(path.read_text()))}
