"""The folders in which workers add up their figures: one for each port, empty when its service starts."""

from __future__ import annotations

import pytest

from store.metrics import VARIABLE, clear_shared_folder, shared_folder
from store.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


def test_a_service_that_starts_clears_its_own_figures_and_not_those_of_another_port(settings: Settings):
    for port in (8000, 8001):
        (clear_shared_folder(settings, port) / "counter_1.db").write_bytes(b"figures")
    again = clear_shared_folder(settings, 8000)
    assert shared_folder() == str(again)
    assert not list(again.iterdir())
    assert (settings.data / "metrics" / "8001" / "counter_1.db").is_file()
