"""Which code makes a night's rows: a cause of them, like the data and the model."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DECIDES_ROWS = ("churn/*.py", "schemas/*.py", "store/snapshots.py", "tasks/scoring.py", "tasks/outreach.py")


@cache
def code_digest() -> str:
    """The sha256 of the modules that decide what stands in a snapshot, a score or a list."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in DECIDES_ROWS for path in ROOT.glob(pattern)):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
