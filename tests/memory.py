"""Where tests keep their files: in memory if there is room, since a small commit mostly waits for the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # a killed process leaves there what it would leave on a disk
ROOM = 4 << 30  # bytes; a whole run of the tests keeps about one of these four
NAME = "churn-tests-"  # and the number of the process that it belongs to


def folder_of_this_run() -> str | None:
    """A new folder in memory, or None where files go to the disk; those of runs that were killed are gone then."""
    quick = quick_folder()
    for left in quick.glob(f"{NAME}*") if quick else ():
        process = left.name.removeprefix(NAME).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-", dir=quick) if quick else None


def quick_folder() -> Path | None:
    """A folder in memory, or None where files go to the disk as usual."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
