"""A list that was sent is never altered, whichever way another would take its place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from churn.errors import PublicationError, RequestError
from store.claims import Claim, Content
from store.handovers import hand_over, waves_sent
from store.intervention_tables import intervention
from store.interventions import record
from store.migrations import bring_up_to_date
from store.publication import Published, Publisher, open_publisher
from store.rollback import roll_back
from store.settings import Settings
from tests.contacts import contact
from tests.store.small_runs import publish

WAVE = date(2026, 1, 1)
SECONDS = 30
REACHED = contact(WAVE)


@pytest.fixture
def settings_of_it(database_with_tables: str, settings: Settings) -> Settings:
    return replace(settings, database_url=database_with_tables)


@pytest.fixture
def publisher(settings_of_it: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(settings_of_it)
    yield publisher
    publisher.engine.dispose()


def listed(publisher: Publisher, key: str = "A") -> Published:
    return publish(publisher, WAVE, kind="outreach", key=key)


def shown(publisher: Publisher) -> str:
    run = publisher.published("telco", "outreach", WAVE)
    assert run is not None
    return run.run_id


def send(publisher: Publisher, run: Published, settings: Settings, how: str) -> None:
    if how == "handed over":
        hand_over(publisher.engine, run.unit, run.run_id)
    else:
        record(settings, [REACHED])


@pytest.mark.parametrize("how", ["handed over", "written back of"])
def test_a_list_that_is_sent_while_another_is_decided_stays(
    publisher: Publisher, settings_of_it: Settings, how: str
) -> None:
    first = listed(publisher)
    claim = publisher.claim(first.unit, Content("B", "e"), force=True)
    assert isinstance(claim, Claim)
    publisher.stage(claim)
    publisher.seal(claim)
    publisher.load(claim)
    send(publisher, first, settings_of_it, how)
    with pytest.raises(PublicationError, match="it was sent, and no other takes its place"):
        publisher.publish(claim)
    assert shown(publisher) == first.run_id


@pytest.mark.parametrize("how", ["handed over", "written back of"])
def test_a_list_that_was_sent_is_not_taken_back(publisher: Publisher, settings_of_it: Settings, how: str) -> None:
    earlier, later = listed(publisher, "A"), listed(publisher, "B")
    send(publisher, later, settings_of_it, how)
    with pytest.raises(PublicationError, match="it was sent"):
        roll_back(publisher, earlier.run_id)
    assert shown(publisher) == later.run_id


def test_scores_whose_list_was_sent_may_have_another_revision(publisher: Publisher) -> None:
    publish(publisher, WAVE)
    run = listed(publisher)
    hand_over(publisher.engine, run.unit, run.run_id)
    assert publish(publisher, WAVE, key="corrected").revision == 2


def test_a_handover_is_written_down_once_however_often_the_list_leaves(publisher: Publisher) -> None:
    run = listed(publisher)
    hand_over(publisher.engine, run.unit, run.run_id)
    hand_over(publisher.engine, run.unit, run.run_id)
    with publisher.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM handover")) == 1
        assert waves_sent(connection) == {("telco", WAVE)}


def test_a_list_that_was_replaced_just_now_is_not_handed_over(publisher: Publisher) -> None:
    first = listed(publisher)
    listed(publisher, "B")
    with pytest.raises(RequestError, match="another list took its place"):
        hand_over(publisher.engine, first.unit, first.run_id)
    with publisher.engine.connect() as connection:
        assert waves_sent(connection) == set()


@pytest.mark.parametrize("change", ["UPDATE handover SET run_id = 'x'", "DELETE FROM handover"])
def test_what_was_handed_over_is_never_forgotten(publisher: Publisher, change: str) -> None:
    run = listed(publisher)
    hand_over(publisher.engine, run.unit, run.run_id)
    with pytest.raises(sa.exc.IntegrityError), publisher.engine.begin() as connection:
        connection.execute(sa.text(change))


@pytest.mark.postgres
def test_another_list_waits_for_a_write_back_that_has_begun_and_then_gives_way_to_it(
    postgres_url: str, settings: Settings
) -> None:
    there = replace(settings, database_url=postgres_url)
    publisher = open_publisher(there)
    first = listed(publisher)
    bring_up_to_date(publisher.engine)
    claim = publisher.claim(first.unit, Content("B", "e"), force=True)
    assert isinstance(claim, Claim)
    publisher.stage(claim)
    publisher.seal(claim)
    publisher.load(claim)
    others_key = REACHED.model_dump() | {"key": "2", "recorded_at": REACHED.occurred_at, "event": "reached"}
    with ThreadPoolExecutor(2) as threads:
        with publisher.engine.begin() as other:
            other.execute(sa.insert(intervention).values(others_key))
            written = threads.submit(record, there, [REACHED, REACHED.model_copy(update={"key": "2"})])
            wait_for(publisher, "transactionid")  # its first event is added, and its second waits for the other's
            shown_next = threads.submit(publisher.publish, claim)
            wait_for(publisher, "advisory")
            other.rollback()
        assert written.result(SECONDS).new == 2
        with pytest.raises(PublicationError, match="it was sent"):
            shown_next.result(SECONDS)
    assert shown(publisher) == first.run_id


def wait_for(publisher: Publisher, lock: str) -> None:
    """Waits until somebody waits for a lock of that sort."""
    waits = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND locktype = :lock AND datname = current_database()"
    )
    end = time.monotonic() + SECONDS
    with publisher.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        while not connection.scalar(waits, {"lock": lock}):
            assert time.monotonic() < end
            time.sleep(0.02)
