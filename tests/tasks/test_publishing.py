"""A run holds its claim for as long as it works, and `night_status` tells of every night that came to nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from churn.errors import AlreadyRunning, ChurnError, QualityError, RequestError, SourceEmpty, SourceMissing
from schemas.interventions import Event, Intervention
from store.claims import Claim, Content, Unit
from store.handovers import hand_over
from store.interventions import record
from store.publication import Publisher, open_publisher
from store.settings import current_settings
from tasks import intake, publishing
from tasks.night import Champions, Night
from tests.end_to_end.nights import living_in
from tests.store.small_runs import publish, write

D1, AT = date(2026, 1, 1), datetime.fromisoformat("2026-01-01T00:00:00")
UNIT = Unit("telco", "scores", D1, AT)
ASSIGNED = Intervention(
    contract="telco",
    customer_id="C00001",
    as_of=D1,
    action="discount",
    channel="message",
    team="north",
    event=Event.ASSIGNED,
    agent="dialler",
    occurred_at=datetime(2026, 1, 1, 9, tzinfo=UTC),
    key="1",
)
NIGHT = Night("telco", "telco", D1, AT, Path(), "", Path(), 4)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with living_in(tmp_path):
        yield open_publisher(current_settings())


def told_of(publisher: Publisher) -> list[tuple[Any, ...]]:
    """Kind, state and reason of each night's last run."""
    with publisher.engine.connect() as connection:
        query = sa.text("SELECT kind, last_state, reason FROM night_status ORDER BY kind")
        return [tuple(row) for row in connection.execute(query)]


def claimed(publisher: Publisher, lease: timedelta = timedelta(minutes=1)) -> Claim:
    claim = publisher.claim(UNIT, Content("k", "extract"), lease=lease)
    assert isinstance(claim, Claim)
    return claim


FAILURES = [
    (SourceMissing("there is no such file", where="telco.db"), "failed", "telco.db: there is no such file"),
    (SourceEmpty("the table has no rows", where="bills"), "rejected", "bills: the table has no rows"),
    (QualityError("12 % of the bills are null", to_do="Ask."), "rejected", "12 % of the bills are null"),
    (OSError("No space left on device\non /data"), "failed", "OSError No space left on device"),
    (KeyboardInterrupt(), "failed", "KeyboardInterrupt "),
]


@pytest.mark.parametrize(("failure", "state", "reason"), FAILURES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("night", [NIGHT, UNIT], ids=["of a night", "of one asked for"])
def test_a_night_that_failed_before_its_claim_is_told_of_once(
    publisher: Publisher, night: Night | Unit, failure: BaseException, state: str, reason: str
) -> None:
    failure.__notes__ = []
    with pytest.raises(type(failure)), publishing.failures_recorded(night), publishing.failures_recorded(night):
        raise failure
    assert told_of(publisher) == [("scores", state, reason)]
    with publisher.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM publication")) == 1


def test_what_fails_under_a_claim_is_told_by_the_claim_alone(publisher: Publisher) -> None:
    claim = claimed(publisher)
    with pytest.raises(QualityError), publishing.failures_recorded(NIGHT), publishing.held(claim):
        raise QualityError("5 % of the scores are null", where="scores")
    assert told_of(publisher) == [("scores", "rejected", "scores: 5 % of the scores are null")]
    with publisher.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM publication")) == 1


@pytest.mark.parametrize("claims", [True, False], ids=["under a claim", "before its claim"])
def test_a_night_that_is_refused_leaves_one_alert_and_one_event_also_when_the_next_run_publishes_it(
    publisher: Publisher, caplog: pytest.LogCaptureFixture, claims: bool
) -> None:
    refused = QualityError("5 % of the scores are null", where="scores")
    steps = [
        publishing.failures_recorded(NIGHT),
        publishing.held(claimed(publisher)) if claims else publishing.failures_recorded(NIGHT),
    ]
    with caplog.at_level(logging.INFO, "churn.events"), pytest.raises(QualityError), steps[0], steps[1]:
        raise refused
    publish(publisher, D1, key="mended")
    with publisher.engine.connect() as connection:
        alerts = connection.execute(sa.text("SELECT alert, contract, kind, sentence FROM night_alerts")).all()
    assert alerts == [("rejected", "telco", "scores", "scores: 5 % of the scores are null")]
    assert caplog.text.count("churn.quality.failed about telco") == 1
    assert told_of(publisher) == [("scores", "published", None)]


@pytest.mark.parametrize("failure", [RequestError("no date"), AlreadyRunning("run 000001 holds it")])
def test_a_slip_of_who_asked_is_no_failure_of_the_night(publisher: Publisher, failure: ChurnError) -> None:
    with pytest.raises(type(failure)), publishing.failures_recorded(NIGHT):
        raise failure
    assert told_of(publisher) == []


def test_a_failure_that_cannot_be_noted_is_raised_all_the_same(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(SourceMissing), publishing.failures_recorded(UNIT):
        raise SourceMissing("there is no such file")


def test_a_run_renews_its_claim_while_it_works(publisher: Publisher) -> None:
    claim = claimed(publisher, lease=timedelta(seconds=-1))
    with publishing.held(claim), pytest.raises(AlreadyRunning):
        publisher.claim(UNIT, Content("k", "extract"))


@pytest.mark.parametrize(("force", "revision"), [(False, 1), (True, 2)])
def test_rows_that_readers_see_already_are_published_again_and_told_of_by_force_alone(
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    force: bool,
    revision: int,
) -> None:
    for step in ("seal_files", "load_tables", "show"):
        monkeypatch.setattr(publishing, step, getattr(publishing, step).fn)  # there is no flow here to run them
    shown = publish(publisher, D1, key="old code")
    claim = publisher.claim(shown.unit, Content("new code", "extract"), force=force)
    assert isinstance(claim, Claim)
    write(publisher, claim)
    with caplog.at_level(logging.INFO, "churn.events"):
        result = publishing.publish(claim)
    assert (result.new, result.revision, result.rows) == (force, revision, shown.rows)
    assert ("churn.night.published about telco" in caplog.text) == force


LISTS = [
    # published for, the first was, asked for anew, by force: what becomes of it
    ([1], "left alone", 1, False, "decided anew"),
    ([1], "written back of", 1, False, "stays"),
    ([1], "written back of", 1, True, "stays"),
    ([1], "handed over", 1, False, "stays"),
    ([1], "handed over", 1, True, "stays"),
    ([1, 2], "left alone", 1, False, "stays"),
    ([1, 2], "left alone", 1, True, "decided anew"),
    ([1, 2], "written back of", 2, False, "decided anew"),
    ([1, 2], "handed over", 2, False, "decided anew"),
    ([1], "written back of", 2, False, "decided anew"),
]


@pytest.mark.parametrize(("published", "was", "wanted", "force", "becomes"), LISTS)
def test_a_list_that_was_sent_or_has_a_newer_one_stays_as_it_was_published(
    publisher: Publisher, published: list[int], was: str, wanted: int, force: bool, becomes: str
) -> None:
    lists = [publish(publisher, date(2026, 1, day), kind="outreach") for day in published]
    if was == "written back of":
        record(current_settings(), [ASSIGNED])
    if was == "handed over":
        hand_over(publisher.engine, lists[0].unit, lists[0].run_id)
    night = replace(NIGHT, as_of=date(2026, 1, wanted), snapshot=lists[0].folder)
    of_scores = publishing.result_of(lists[0], new=True)
    claim = publishing.claim_list.fn(night, of_scores, "telco", force=force)
    assert ("stays" if publishing.is_published(claim) else "decided anew") == becomes


@pytest.fixture
def corrected(publisher: Publisher) -> Night:
    """A night whose second revision knows the facts of the fifth of January."""
    publish(publisher, D1)
    run = publish(publisher, D1, key="corrected", known_at=datetime.fromisoformat("2026-01-05T00:00"))
    return replace(NIGHT, snapshot=run.folder)


@pytest.mark.parametrize("known_at", ["2026-01-01T00:00", "2026-01-04T23:59"])
def test_older_facts_take_no_correction_back(corrected: Night, known_at: str) -> None:
    night = replace(corrected, known_at=datetime.fromisoformat(known_at))
    with pytest.raises(RequestError, match="revision 2 knows the facts of 2026-01-05 00:00, later ones"):
        publishing.claim_scores.fn(night, Champions(()))


@pytest.mark.parametrize(("known_at", "force"), [("2026-01-05T00:00", False), ("2026-01-01T00:00", True)])
def test_the_same_facts_and_whoever_insists_may_claim_it(corrected: Night, known_at: str, force: bool) -> None:
    night = replace(corrected, known_at=datetime.fromisoformat(known_at))
    assert isinstance(publishing.claim_scores.fn(night, Champions(()), force), Claim)


@pytest.mark.parametrize(
    ("as_of", "known_at", "unit"),
    [
        ("2026-01-01", None, UNIT),
        ("2026-01-01", "2026-01-03T12:00", Unit("telco", "scores", D1, datetime.fromisoformat("2026-01-03T12:00"))),
        ("latest", None, None),
    ],
)
def test_the_night_that_is_asked_for_is_known_before_its_source_unless_that_decides(
    publisher: Publisher, as_of: str, known_at: str | None, unit: Unit | None
) -> None:
    assert intake.unit_asked_for("telco", as_of, known_at) == unit


def test_a_moment_that_has_not_come_is_refused_before_the_source_is_read(publisher: Publisher) -> None:
    with pytest.raises(RequestError, match="has not come yet"):
        intake.unit_asked_for("telco", "2026-01-01", "2999-01-01T00:00")
