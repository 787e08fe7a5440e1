"""The flow of outcomes measures published lists by the customers who left after them, and leaves what it found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from store.publication import open_publisher
from store.settings import current_settings
from tests.end_to_end.nights import living_in
from tests.waves import asked, publish_wave

WAVE = date(2024, 7, 1)


@pytest.fixture
def home(orchestrator: None, tmp_path: Path) -> Iterator[None]:
    """A home in which one list is published."""
    with living_in(tmp_path):
        publish_wave(open_publisher(current_settings()), WAVE, listed=list(range(18)), held_out=[18, 19])
        yield


def test_a_list_is_measured_when_its_horizon_is_over(home: None, source: str) -> None:
    from flows.outcomes import outcomes  # Prefect reads the environment when it is imported

    waits = outcomes(source=source, known_at="2024-07-15")
    assert (waits.lifts, waits.waiting) == ((), (WAVE,))
    found = outcomes(source=source, known_at="2024-08-01")
    assert [(one.heads.listed, one.heads.held_out) for one in found.lifts] == [(18, 2), (18, 2)]
    assert len(asked(current_settings(), "SELECT * FROM lift_current")) == 2
    assert [row["verdict"] for row in asked(current_settings(), "SELECT * FROM uplift_current")] == ["not yet"] * 3
    with get_client(sync_client=True) as client:
        left = {artifact.key: artifact.data for artifact in client.read_latest_artifacts()}
    assert "| waves | action |" in str(left["lift"])
    assert "service_call: Not yet" in str(left["uplift"])
    assert str(left["lift-plot"]).startswith("data:image/svg+xml;base64,")
