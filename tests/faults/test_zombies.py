"""Of two runs for one night one publishes, and a run that slept through its lease changes nothing when it wakes."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

import pytest

from tests.faults.nights import Base, days_later, left_over, night, outcome, publish
from tests.faults.processes import PROCESSES, SECONDS, start, stopped_at
from tests.faults.readers import seen_in_files, seen_in_tables, undisturbed

TONIGHT = night(1)
MEANWHILE = 0.3  # seconds, in which the slower of two runs comes to where it waits for the faster
BEFORE_EACH_STEP = ["claimed", "synced", "part-loaded", "audited"]


@pytest.mark.parametrize("point", BEFORE_EACH_STEP)
def test_a_run_that_wakes_after_its_lease_is_fenced_and_leaves_nothing(base: Base, point: str) -> None:
    with undisturbed(base):
        zombie = stopped_at(point, base, TONIGHT)
        days_later(base.publisher())
        run = publish(base.publisher(), TONIGHT, "second")
        zombie.wake()
        assert zombie.outcome().startswith("Fenced ")
        assert seen_in_tables(base) == seen_in_files(base)
        assert seen_in_tables(base).run_id == run.run_id
    base.publisher().sweep()
    assert left_over(base) == set()


def test_a_run_that_wakes_after_its_own_publication_leaves_the_pointer_of_a_younger_one(base: Base) -> None:
    with undisturbed(base):
        zombie = stopped_at("shown", base, TONIGHT)
        younger = publish(base.publisher(), night(2))
        zombie.wake()
        assert zombie.outcome().startswith("published ")
        assert seen_in_tables(base).run_id == seen_in_files(base).run_id == younger.run_id
    assert left_over(base) == set()


@pytest.mark.parametrize("point", ["claimed", "part-loaded", "audited"])
def test_while_a_run_holds_a_night_another_is_told_which_one(base: Base, point: str) -> None:
    with undisturbed(base):
        holder = stopped_at(point, base, TONIGHT)
        refused = outcome(base.publisher(), TONIGHT)
        holder.wake()
        published, run_id = holder.outcome().rsplit(" ", 1)
    assert published == "published"
    assert refused.startswith(f"AlreadyRunning run {run_id} holds it")
    assert seen_in_tables(base).run_id == run_id
    assert left_over(base) == set()


def test_of_two_runs_that_start_together_one_publishes(base: Base) -> None:
    ready = PROCESSES.Event()
    with undisturbed(base):
        faster = stopped_at("claiming", base, TONIGHT)  # in the transaction in which it claims
        slower = start(another_run, base, ready)
        assert ready.wait(SECONDS)
        time.sleep(MEANWHILE)
        faster.wake()
        run_id = faster.outcome().removeprefix("published ")
        told = slower.outcome()
    assert told == f"already published {run_id}" or told.startswith(f"AlreadyRunning run {run_id} holds it")
    assert seen_in_tables(base).run_id == run_id
    assert left_over(base) == set()


def another_run(base: Base, ready: Event, told: Connection) -> None:
    publisher = base.publisher()
    ready.set()
    told.send(outcome(publisher, TONIGHT))
