"""The small steps by which operators hear of things: notices, lateness, and how far a long step is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from store.publication import open_publisher
from store.settings import current_settings
from tasks import cleaning, lateness, notice, progress_page
from tasks.server import Server
from tests.end_to_end.nights import living_in
from tests.store.small_runs import publish
from tests.store.test_publication import D1

STEP = "score with reasons"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with living_in(tmp_path):
        yield tmp_path


def test_a_notice_is_written_down_beside_those_before(home: Path) -> None:
    notice.note_down.fn("The night is late", "as of 2026-01-01")
    notice.note_down.fn("It is there", "")
    told = [json.loads(line) for line in (home / "data/notices.jsonl").read_text().splitlines()]
    assert [line["subject"] for line in told] == ["The night is late", "It is there"]
    assert datetime.fromisoformat(told[0]["at"]).tzinfo


def test_a_night_that_nobody_published_is_late_and_is_told(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "churn.events"):
        assert lateness.tell_if_late.fn("telco", "2026-01-01")
    assert "churn.night.late about telco" in caplog.text
    assert "nothing was ever published" in caplog.text


def test_a_night_that_readers_see_is_not_late_and_the_next_one_is(home: Path) -> None:
    for kind in ("scores", "outreach"):
        publish(open_publisher(current_settings()), D1, kind=kind)
    assert not lateness.tell_if_late.fn("telco", "2026-01-01")
    assert lateness.tell_if_late.fn("telco", "2026-01-02")


def test_a_night_whose_list_is_not_there_is_late(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(open_publisher(current_settings()), D1)
    assert lateness.tell_if_late.fn("telco", "2026-01-01")
    assert "is late: of outreach nothing was ever published." in caplog.text


def test_of_a_long_step_every_twentieth_is_shown_and_of_a_short_one_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    monkeypatch.setattr(progress_page.runtime.flow_run, "id", "a-run", raising=False)
    monkeypatch.setattr(
        progress_page, "create_progress_artifact", lambda per_cent, **_: shown.append(per_cent) or UUID(int=1)
    )
    monkeypatch.setattr(progress_page, "update_progress_artifact", lambda _, per_cent: shown.append(per_cent))
    for _ in range(100):
        progress_page.part_shown(STEP, 100)
    assert shown == []
    monkeypatch.setattr(progress_page, "LONG", -1.0)
    for _ in range(100):
        progress_page.part_shown(STEP, 100)
    assert shown == [float(per_cent) for per_cent in range(5, 101, 5)]


def test_only_runs_that_ended_before_the_moment_leave_the_history() -> None:
    asked = cleaning.ended_before(datetime(2026, 1, 1, tzinfo=UTC))["flow_runs"]
    assert asked["end_time"] == {"before_": "2026-01-01T00:00:00+00:00"}
    assert "RUNNING" not in asked["state"]["type"]["any_"]
    assert "SCHEDULED" not in asked["state"]["type"]["any_"]


def test_a_filter_gives_all_pages() -> None:
    things = [{"id": str(number)} for number in range(450)]

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        return httpx.Response(200, json=things[asked["offset"] :][: asked["limit"]])

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://prefect") as client:
        assert list(Server(client).found("/flow_runs")) == things
