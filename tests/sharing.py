"""What the processes of one test run share: dear things are made by the first that needs them, and only once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

# Whose tests share an orchestrator, and the home of one published night. It is the longest part, and so the first.
TOGETHER = "tests/end_to_end"
# These start servers of their own, for which they mostly wait, or need none.
APART = tuple(f"{TOGETHER}/test_{name}.py" for name in ("operators", "against_the_truth", "money"))
# Long files go before short ones, so that no process is left with one when the other has ended.
IN_ORDER = (TOGETHER, "tests/api", "tests/tasks", *APART, "tests/faults", "tests/store", "tests/cli", "tests/house")


class ByWhatIsShared(LoadFileScheduling):
    """Keeps the tests of a file in one process, and those that share an orchestrator too."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return TOGETHER if file.startswith(TOGETHER) and file not in APART else file


def place_of(item: pytest.Item) -> int:
    """Where the test's file comes in the run."""
    file = item.nodeid.split("::", 1)[0]
    places = [place for place, start in enumerate(IN_ORDER) if file.startswith(start)]
    return max(places, default=len(IN_ORDER))


def made_once(name: str, make: Callable[[Path], None], folders: pytest.TempPathFactory) -> Path:
    """The folder that `make` fills for all processes of the run; who comes while it is made waits."""
    own = folders.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = place.with_suffix(".made")
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)  # who made it before failed half way
            place.mkdir()
            make(place)
            made.touch()
    return place
