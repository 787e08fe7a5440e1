"""Where tests keep their files: in memory if there is room, since a small commit mostly waits for the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # a killed process leaves there what it would leave on a disk
ROOM = 4 << 30  # bytes; a whole run of the tests keeps about one of these four


def quick_folder() -> Path | None:
    """A folder in memory, or None where files go to the disk as usual."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
