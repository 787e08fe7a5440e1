"""Named places where a test may end or stop a run, to see that readers keep a whole night; nobody comes by otherwise.

With CHURN_FAULT_POINT=sealed the process kills itself there, as a machine that dies would; with
CHURN_FAULT_POINT=stop:sealed it stops, until somebody sends it SIGCONT. `sealed*3` means the third time it comes by.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

VARIABLE = "CHURN_FAULT_POINT"
STOP = "stop:"

BEFORE_THE_COMMIT: Mapping[str, str] = MappingProxyType(
    {
        "claiming": "the claim's row is written, and its transaction not committed",
        "claimed": "the claim is committed, and nothing was written for it",
        "staging": "the folders for the run's files are there, and its files are not whole",
        "described": "the files are whole and their manifest is written, and nothing waited for the disk",
        "synced": "files and manifest are on the disk, still in the staging folder",
        "moved": "the folder is at its place for good, and the database has not been told",
        "sealed": "the database knows the manifest, and holds no row",
        "copied": "some rows of a file were copied, and their transaction not committed",
        "part-loaded": "some rows of the table are committed, others are missing",
        "loaded": "all rows of a table are there; in PostgreSQL no partition of it yet",
        "audited": "both copies were found equal, and no pointer moved",
        "showing": "the pointers moved, and their transaction is not committed",
    }
)
AFTER_THE_COMMIT: Mapping[str, str] = MappingProxyType(
    {
        "shown": "readers of the database see the run, those of the files the one before",
        "pointing": "the new _CURRENT lies beside the old one",
        "pointed": "readers of the files see the run, too",
        "sweeping": "some of what the run no longer needs is gone",
    }
)
FAULT_POINTS = (*BEFORE_THE_COMMIT, *AFTER_THE_COMMIT)  # in the order in which a run comes by

_passed: Counter[str] = Counter()


def reached(point: str) -> None:
    """Ends or stops this process if the environment asks for it at this point."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    name, _, time = wanted.removeprefix(STOP).partition("*")
    if name != point:
        return
    _passed[point] += 1
    if _passed[point] == int(time or 1):
        os.kill(os.getpid(), signal.SIGSTOP if wanted.startswith(STOP) else signal.SIGKILL)
