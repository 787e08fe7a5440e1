"""`churn operators` where there is no server to set up."""

from __future__ import annotations

from pathlib import Path

from tests.command import churn


def test_without_a_server_it_names_the_variable_and_how_to_start_one(tmp_path: Path) -> None:
    done = churn("operators", "install", home=tmp_path)
    assert done.returncode == 3
    assert "PREFECT_API_URL: it names no server" in done.stderr
    assert "make up" in done.stderr
