"""No request makes the service fetch an address: it has no client, and the store has one for each of three purposes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.test_house_rules import ROOT

CLIENTS = {"aiohttp", "ftplib", "http.client", "httpx", "httpx2", "requests", "smtplib", "urllib.request", "urllib3"}
OF_THE_STORE = {
    "callbacks.py": "hosts that the settings name are told that a job has ended",
    "orchestrator.py": "the one server of PREFECT_API_URL is asked for a training run",
    "service_client.py": "nights ask the service of CHURN_API_URL, or their own, for scores",
}
API = sorted((ROOT / "api").glob("*.py"))
STORE = sorted(path for path in (ROOT / "store").rglob("*.py") if path.name not in OF_THE_STORE)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("path", API + STORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_imports_no_client(path: Path) -> None:
    assert not imported(path) & CLIENTS


def test_what_may_have_one_is_there_and_has_one() -> None:
    for name in OF_THE_STORE:
        assert "httpx" in imported(ROOT / "store" / name)
