"""A run killed at any fault point leaves readers a whole night, and the next run leaves nothing of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa

from churn.errors import Fenced
from store import lake
from store.fault_points import AFTER_THE_COMMIT, BEFORE_THE_COMMIT, FAULT_POINTS, VARIABLE, reached
from store.publication import CURRENT, Published, Publisher, current_folder, open_publisher
from store.settings import Settings
from tests.store.test_publication import (
    D1,
    D2,
    FIRST,
    SECOND,
    claimed,
    count,
    files_of,
    made_of,
    published,
    seen,
    write,
)

PROCESSES = get_context("forkserver")  # whose children begin with the libraries loaded
SECONDS = 60
FENCED = 9


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    PROCESSES.set_forkserver_preload([__name__])


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(settings)
    yield publisher
    publisher.engine.dispose()


def a_run(settings: Settings, fault: str) -> None:
    """Publishes the second night, in a process of its own, as far as it gets."""
    os.environ[VARIABLE] = fault
    publisher = open_publisher(settings)
    claim = claimed(publisher, SECOND, "second")
    (publisher.drafts(claim) / "bucket=00.parquet").touch()
    write(publisher, claim)
    try:
        publisher.seal(claim)
        publisher.load(claim)
        publisher.publish(claim)
    except Fenced:
        os._exit(FENCED)


def killed(settings: Settings, fault: str) -> None:
    run = PROCESSES.Process(target=a_run, args=(settings, fault))
    run.start()
    run.join(SECONDS)
    assert run.exitcode == -signal.SIGKILL


def days_later(publisher: Publisher) -> None:
    """Lets every lease run out."""
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("UPDATE publication SET lease_until = '2020-01-01 00:00:00.000000'"))


def whole(folder: Path | None) -> Path:
    assert folder is not None
    assert lake.differences(lake.read_manifest(folder), folder) == []
    return folder


def left_over(publisher: Publisher, *runs: Published) -> set[Path]:
    """All files but those of the runs, and the one pointer."""
    kept = {run.folder.relative_to(publisher.lake.root) for run in runs}
    others = {path for path in files_of(publisher) if not kept & set(path.parents)}
    return others - {Path("runs/telco/scores") / CURRENT}


def test_there_are_twelve_points_before_the_commit_and_four_after_it() -> None:
    assert (len(BEFORE_THE_COMMIT), len(AFTER_THE_COMMIT)) == (12, 4)


@pytest.mark.parametrize("point", BEFORE_THE_COMMIT)
def test_a_run_killed_before_the_commit_changes_nothing_for_readers(
    publisher: Publisher, settings: Settings, point: str
) -> None:
    old = published(publisher, FIRST)
    killed(settings, point)
    assert seen(publisher) == {(D1, old.run_id, 100)}
    assert whole(current_folder(publisher.lake, "telco", "scores")) == old.folder
    days_later(publisher)
    new = published(publisher, SECOND, "second")
    assert seen(publisher) == {(D2, new.run_id, 100)}
    assert whole(current_folder(publisher.lake, "telco", "scores")) == new.folder
    assert count(publisher, "scores") == 200
    assert left_over(publisher, old, new) == set()


@pytest.mark.parametrize("point", AFTER_THE_COMMIT)
def test_a_run_killed_after_the_commit_is_published_and_its_files_follow(
    publisher: Publisher, settings: Settings, point: str
) -> None:
    old = published(publisher, FIRST)
    killed(settings, point)
    [(as_of, run_id, rows)] = seen(publisher)
    assert (as_of, rows) == (D2, 100)
    assert whole(current_folder(publisher.lake, "telco", "scores")).name in (old.run_id, run_id)
    new = publisher.claim(SECOND, made_of("second"))
    assert isinstance(new, Published)
    assert new.run_id == run_id
    assert whole(current_folder(publisher.lake, "telco", "scores")) == new.folder
    assert count(publisher, "scores") == 200
    assert left_over(publisher, old, new) == set()


def test_a_run_that_was_stopped_and_taken_over_finds_itself_fenced(publisher: Publisher, settings: Settings) -> None:
    old = published(publisher, FIRST)
    zombie = PROCESSES.Process(target=a_run, args=(settings, "stop:sealed"))
    zombie.start()
    wait_until(lambda: stopped(zombie.pid))
    days_later(publisher)
    new = published(publisher, SECOND, "second")
    assert zombie.pid
    os.kill(zombie.pid, signal.SIGCONT)
    zombie.join(SECONDS)
    assert zombie.exitcode == FENCED
    assert seen(publisher) == {(D2, new.run_id, 100)}
    publisher.sweep()
    assert count(publisher, "scores") == 200
    assert left_over(publisher, old, new) == set()


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def stopped(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_without_the_variable_nobody_notices_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for point in FAULT_POINTS:
        reached(point)
    monkeypatch.setenv(VARIABLE, "claimed*2")
    reached("claimed")  # the first time, and it is the second that is asked for
    reached("sealed")
