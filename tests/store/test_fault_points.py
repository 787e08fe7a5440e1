"""A process ends or stops at the fault point that its environment names, and nowhere else.

What becomes of a night that is killed at each of them is tried in tests/faults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from store.fault_points import AFTER_THE_COMMIT, BEFORE_THE_COMMIT, FAULT_POINTS, VARIABLE, reached

CLAIMED, SEALED, SEALED_AGAIN = 1, 2, 3  # points that a process went past before it was ended or stopped
PROGRAM = """
from store.fault_points import reached
for point in ("claimed", "sealed", "sealed"):
    reached(point)
    print(end=".", flush=True)
"""


def test_there_are_twelve_points_before_the_commit_and_four_after_it() -> None:
    assert (len(BEFORE_THE_COMMIT), len(AFTER_THE_COMMIT)) == (12, 4)


@pytest.mark.parametrize(
    ("wanted", "ends_by", "came_as_far_as"),
    [
        ("sealed", signal.SIGKILL, CLAIMED),
        ("sealed*2", signal.SIGKILL, SEALED),
        ("stop:sealed*2", signal.SIGSTOP, SEALED),
        ("sealed*3", None, SEALED_AGAIN),
        ("loaded", None, SEALED_AGAIN),
    ],
)
def test_a_process_ends_or_stops_when_it_comes_by_its_point_so_many_times(
    wanted: str, ends_by: signal.Signals | None, came_as_far_as: int
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env={**os.environ, VARIABLE: wanted}, stdout=subprocess.PIPE
    )
    _, status = os.waitpid(run.pid, os.WUNTRACED)
    stopped, killed = os.WIFSTOPPED(status), os.WIFSIGNALED(status)
    if stopped:
        run.kill()
    said, _ = run.communicate()
    assert (os.WSTOPSIG(status) if stopped else os.WTERMSIG(status) if killed else None) == ends_by
    assert len(said) == came_as_far_as


def test_without_the_variable_nobody_notices_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for point in FAULT_POINTS:
        reached(point)
