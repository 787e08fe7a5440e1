"""A look-up shows the customer as he is now beside the stored score, and never waits or fails for the source's sake."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import store.live
from api import live
from api.app import create_app
from api.clerk import Clerk
from api.live import AWAY, CUT_OFF, LEAST_PATIENCE, NOT_KEPT, NOT_THERE, PATIENCE, TOO_LATE, Glance, Sight
from churn.lookup import score_one
from store.registry import Version
from store.settings import Settings
from store.tables import engine_for
from tests import cards
from tests.api.lists import DECIDED, publish_status
from tests.api.service import TINY, Ask, publish, running, scored
from tests.api.snapshots import publish_with_snapshot


def rounded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """As a snapshot has them."""
    return pc.round(values, 4) if pa.types.is_floating(values.type) else values


NIGHT = date(2026, 1, 1)
PATH = "/api/v1/customers/C000003"
ROOT = Path(__file__).parent.parent.parent
DRAWN = cards.customers(20)
ROWS = pa.table({name: rounded(DRAWN[name]) for name in DRAWN.column_names})


@pytest.fixture
def source(settings: Settings) -> Path:
    """The customers as the source has them: those of the night."""
    path = settings.data / "source" / "telco.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ROWS.column_names
    change(path, f"CREATE TABLE customers ({', '.join(names)})")
    for row in ROWS.to_pylist():
        change(path, f"INSERT INTO customers VALUES ({', '.join('?' * len(names))})", *row.values())
    return path


@pytest.fixture
def asked(settings: Settings, champion: Version, source: Path) -> Iterator[Ask]:
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    with running(create_app(settings, TINY.name)) as ask:
        yield ask


def change(source: Path, statement: str, *values: Any) -> None:
    database = sqlite3.connect(source)
    database.execute(statement, values)
    database.commit()
    database.close()


def looked_up(ask: Ask, path: str = PATH) -> dict[str, Any]:
    answer = ask("GET", f"{path}?live=true")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_source_is_asked_only_where_that_is_wanted(asked: Ask):
    assert asked("GET", PATH).json()["live"] is None
    assert looked_up(asked)["live"] is not None


def test_while_nothing_has_changed_both_scores_are_the_same_to_the_bit(asked: Ask):
    for number in range(20):
        answer = looked_up(asked, f"/api/v1/customers/C{number:06d}")
        live = answer["live"]
        assert (live["because"], live["changed"]) == (None, [])
        same = ("customer_id", "probability", "log_odds", "band", "reasons", "reliefs", "model")
        assert {name: live["score"][name] for name in same} == {name: answer[name] for name in same}


def test_what_has_changed_is_named_and_both_scores_are_shown(asked: Ask, source: Path):
    change(source, "UPDATE customers SET tenure = 12, plan = 'P3' WHERE customer_id = 'C000003'")
    answer, (row,) = looked_up(asked), [row for row in ROWS.to_pylist() if row["customer_id"] == "C000003"]
    live = answer["live"]
    assert [(one["feature"], one["before"], one["after"]) for one in live["changed"]] == [
        ("tenure", row["tenure"], 12),
        ("plan", row["plan"], "P3"),
    ]
    assert live["score"]["log_odds"] == score_one(cards.card(), row | {"tenure": 12, "plan": "P3"}).log_odds
    assert answer["log_odds"] == score_one(cards.card(), row).log_odds


@pytest.mark.parametrize(("status", "is_recommended"), DECIDED)
def test_whom_the_nights_list_leaves_alone_is_recommended_nothing(
    settings: Settings, asked: Ask, status: str, is_recommended: bool
):
    publish_status(settings, "C000003", status)
    assert (looked_up(asked)["live"]["score"]["recommended"] is not None) is is_recommended


def test_who_has_left_since_has_no_live_score(asked: Ask, source: Path):
    change(source, "DELETE FROM customers WHERE customer_id = 'C000003'")
    assert looked_up(asked)["live"] == {"score": None, "because": NOT_THERE, "changed": []}


def test_while_the_source_is_away_the_stored_score_stands_alone_and_says_why(asked: Ask, source: Path):
    source.rename(source.with_suffix(".away"))
    answers = [looked_up(asked) for _ in range(5)]
    assert {answer["live"]["score"] for answer in answers} == {None}
    assert {answer["log_odds"] for answer in answers} == {looked_up(asked)["log_odds"]}
    assert answers[0]["live"]["because"].startswith("The source cannot be asked. It does not answer")
    assert answers[-1]["live"]["because"] == CUT_OFF, "after three failures it is left alone for a while"
    assert str(source) not in str(answers), "where the source is, is nobody's business"


def test_where_nothing_can_be_started_that_reads_the_source_the_stored_score_stands_alone(
    settings: Settings, champion: Version, source: Path, monkeypatch: pytest.MonkeyPatch
):
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    app = create_app(settings, TINY.name)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    told = f"{AWAY} No process can be started that reads the lake. Ask again in a moment."
    with running(app) as ask:
        app.state.sight.clerk = Clerk()
        assert looked_up(ask)["live"] == {"score": None, "because": told, "changed": []}


def test_a_failure_that_nobody_foresaw_leaves_the_stored_score_and_is_told_without_its_words(
    asked: Ask, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(store.live.LiveSource, "row", fails)
    assert looked_up(asked)["live"] == {"score": None, "because": AWAY, "changed": []}


def test_what_reads_the_source_can_be_begun_early_and_where_it_cannot_nothing_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    sight = Sight(settings, engine_for(settings.database_url))
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere/python")
        sight.begin()
        assert sight.clerk.process is None
    sight.begin()
    first = sight.clerk.process
    sight.begin()
    assert sight.clerk.process == first is not None
    sight.close()


def test_a_source_that_hangs_keeps_nobody_waiting(asked: Ask, monkeypatch: pytest.MonkeyPatch):
    looked_up(asked)  # what is imported only once is there
    monkeypatch.setattr(store.live.LiveSource, "row", lambda *_: time.sleep(3))
    began = time.monotonic()
    assert looked_up(asked)["live"]["because"] == TOO_LATE
    assert time.monotonic() - began < 2.0


def test_a_source_that_hangs_leaves_the_rest_of_the_look_up_its_time(
    settings: Settings, champion: Version, source: Path, monkeypatch: pytest.MonkeyPatch
):
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    app = create_app(settings, TINY.name)
    for lane in app.state.lanes:
        lane.seconds = 3.0
    with running(app) as ask:
        looked_up(ask)
        monkeypatch.setattr(store.live.LiveSource, "row", lambda *_: time.sleep(5))
        monkeypatch.setattr(live, "PATIENCE", 4.0)
        assert looked_up(ask)["live"]["because"] == TOO_LATE


@pytest.mark.parametrize(
    ("gone", "left"), [(0.0, PATIENCE), (0.3, 0.5), (0.7, 0.1), (0.9, LEAST_PATIENCE), (5.0, LEAST_PATIENCE)]
)
def test_the_source_has_the_time_that_the_database_left(gone: float, left: float):
    asked_at = time.monotonic() - gone
    assert Glance(None, None, asked_at).patience == pytest.approx(left, abs=0.02)


def test_without_a_snapshot_nothing_tells_what_changed(settings: Settings, champion: Version, source: Path):
    publish(settings, "scores", NIGHT, scores=scored(ROWS, champion, NIGHT))
    with running(create_app(settings, TINY.name)) as ask:
        assert looked_up(ask)["live"]["because"] == NOT_KEPT


@pytest.mark.parametrize("live", ["2", "", "NaN", "%00", "truee"])
def test_what_is_neither_yes_nor_no_is_refused(asked: Ask, live: str):
    answer = asked("GET", f"{PATH}?live={live}")
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "live")


ASKED = ("", "?live=true", "/history")


def test_nothing_that_is_asked_of_a_customer_brings_what_only_nights_need(
    settings: Settings, champion: Version, source: Path
):
    """DuckDB comes with the first question to the source; a compiler, data frames and what learns never do."""
    publish_with_snapshot(settings, champion, ROWS, NIGHT)
    code = f"""
import sys
from api.app import create_app
from store.settings import read_settings
from tests.api.service import running
settings = read_settings({{"CHURN_HOME": {str(settings.data.parent)!r}, "CHURN_MODE": "development"}})
with running(create_app(settings, {TINY.name!r})) as ask:
    before = set(sys.modules)
    statuses = [ask("GET", {PATH!r} + asked).status_code for asked in {ASKED!r}]
    statuses.append(ask("POST", {PATH!r} + "/what-if", json={{"changes": {{"tenure": 3}}}}).status_code)
    statuses += [ask("GET", "/api/v1/models").status_code, ask("GET", "/api/v1/models/all").status_code]
assert set(statuses) == {{200}}, statuses
print([name for name in ("numba", "sklearn", "prefect", "pandas") if name in set(sys.modules) - before])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
