"""What a worker does without is fetched by a process beside it, which may die, hang or idle, and never outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from api import desk
from api.clerk import Clerk
from churn.errors import ChurnError, SourceMismatch, SourceUnreachable, StoreUnreachable
from store.one_row import Step, one_row
from tests.api.odd_questions import Unreadable, Unwritable
from tests.api.test_server import eventually
from tests.house.test_house_rules import ROOT

ONE_AND_ONE = [Step("SELECT 1 + 1 AS two, DATE '2026-01-01' AS day, 0.1::DOUBLE AS tenth, NULL AS nothing")]


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    opened = Clerk()
    yield opened
    opened.close()


def is_there(process: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter where it is reaped while it is read
        return False


def files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_fetched_beside_is_what_would_be_fetched_here(clerk: Clerk):
    assert clerk.process is None, "nobody has asked yet"
    assert clerk.ask("row", ONE_AND_ONE) == one_row(ONE_AND_ONE)
    assert clerk.ask("row", [Step("SELECT 1 WHERE ? = 2", [1])]) is None


FAILURES = [
    # question                                            error
    ("SELECT * FROM read_parquet('nowhere.parquet')", SourceUnreachable),
    ("SELECT CAST('a secret' AS DATE)", SourceMismatch),
]


@pytest.mark.parametrize(("sql", "error"), FAILURES)
def test_a_failure_over_there_is_the_same_failure_here(clerk: Clerk, sql: str, error: type[ChurnError]):
    for ask in (one_row, lambda steps: clerk.ask("row", steps)):
        with pytest.raises(error) as failed:
            ask([Step(sql)])
        assert "secret" not in str(failed.value)


def test_what_nobody_foresaw_is_told_without_its_words(clerk: Clerk):
    with pytest.raises(RuntimeError, match=r"an unforeseen AttributeError at the desk$"):
        clerk.ask("row", ["a secret"])


def test_what_takes_too_much_memory_fails_alone(clerk: Clerk):
    with pytest.raises(ChurnError):
        clerk.ask("row", [Step("SELECT list(repeat('x', 1000) || range) FROM range(100_000_000)")])
    assert clerk.ask("row", ONE_AND_ONE)["two"] == 2


def test_one_that_died_meanwhile_is_replaced_and_nobody_notices(clerk: Clerk):
    clerk.ask("row", ONE_AND_ONE)
    first = clerk.process
    os.kill(first, signal.SIGKILL)
    assert clerk.ask("row", ONE_AND_ONE)["two"] == 2
    assert clerk.process != first
    assert not is_there(first)


def test_a_question_during_which_it_dies_is_asked_once_more(clerk: Clerk):
    clerk.ask("row", ONE_AND_ONE)
    first = clerk.process
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(clerk.ask, "row", ONE_AND_ONE) for _ in range(4)]
        time.sleep(0.2)
        assert not any(one.done() for one in asked)
        os.kill(first, signal.SIGKILL)
        assert {one.result(10)["two"] for one in asked} == {2}


def test_one_that_hangs_is_replaced_after_the_deadline():
    clerk = Clerk(deadline=0.5)
    clerk.begin()
    assert eventually(lambda: is_there(clerk.process))
    first = clerk.process
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(StoreUnreachable, match="no answer came"):
        clerk.ask("row", ONE_AND_ONE)
    assert eventually(lambda: not is_there(first))
    clerk.close()


def test_an_answer_that_cannot_be_written_is_an_unforeseen_failure(clerk: Clerk):
    with pytest.raises(RuntimeError, match=r"an unforeseen TypeError at the desk$"):
        clerk.ask("row", Unwritable())
    assert clerk.ask("row", ONE_AND_ONE)["two"] == 2


def test_after_an_answer_that_cannot_be_read_others_are_answered(clerk: Clerk, caplog: pytest.LogCaptureFixture):
    with pytest.raises(StoreUnreachable, match="ended twice"):
        clerk.ask("row", Unreadable())
    last = clerk.process
    assert "cannot be read: ValueError" in caplog.text
    assert "secret" not in caplog.text
    assert clerk.ask("row", ONE_AND_ONE)["two"] == 2
    assert not is_there(last)


def test_one_that_does_not_read_what_is_asked_is_replaced():
    clerk = Clerk(reads_within=0.5)
    clerk.ask("row", ONE_AND_ONE)
    first, long = clerk.process, [Step("SELECT length(?) AS long", ["x" * 1_000_000])]
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(clerk.ask, "row", question) for question in (long, ONE_AND_ONE, long)]
        assert [one.result(10) for one in asked] == [{"long": 1_000_000}, one_row(ONE_AND_ONE), {"long": 1_000_000}]
    assert not is_there(first)
    clerk.close()


def test_where_none_can_be_started_the_lake_is_out_of_reach_until_one_can(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch
):
    opened = files_open()
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere/python")
        for ask in (clerk.begin, lambda: clerk.ask("row", ONE_AND_ONE)):
            with pytest.raises(StoreUnreachable, match="no process can be started"):
                ask()
    assert files_open() <= opened
    assert clerk.ask("row", ONE_AND_ONE)["two"] == 2


def test_whoever_waits_for_a_worker_that_ends_is_told_at_once_and_no_other_is_begun(clerk: Clerk):
    clerk.ask("row", ONE_AND_ONE)
    last = clerk.process
    os.kill(last, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(clerk.ask, "row", ONE_AND_ONE)
        time.sleep(0.2)
        clerk.close()
        with pytest.raises(StoreUnreachable, match="the service ends"):
            asked.result(2)
    assert clerk.process == last
    assert eventually(lambda: not is_there(last))


def test_it_ends_where_nobody_asks_for_a_while():
    ours, theirs = socket.socketpair()
    there = threading.Thread(target=desk.answer_all, args=(Connection(theirs.detach()), 0.2))
    there.start()
    with Connection(ours.detach()) as ends:
        ends.send((1, "row", (ONE_AND_ONE,)))
        number, value, error = ends.recv()
        there.join(5)
        assert (number, value["two"], error, there.is_alive()) == (1, 2, None, False)
        with pytest.raises(EOFError):
            ends.recv()


def test_it_ends_with_its_worker_also_where_that_is_killed():
    code = """
from api.clerk import Clerk
clerk = Clerk()
clerk.begin()
print(clerk.process, flush=True)
input()
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process = int(worker.stdout.readline())
    assert is_there(process)
    worker.kill()
    worker.communicate()
    assert eventually(lambda: not is_there(process))
