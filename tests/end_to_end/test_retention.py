"""The weekly clearing of the lake and the tables, as the orchestrator runs it."""

from __future__ import annotations

import os
from pathlib import Path

from store.lake import Lake
from store.settings import current_settings
from tasks.retention import Cleared
from tests.end_to_end.nights import living_in


def test_what_nobody_finished_is_told_first_and_then_removed(orchestrator: None, tmp_path: Path) -> None:
    from flows.retention import retention

    with living_in(tmp_path):
        left = Lake(current_settings().lake).staging / "extract-dead"
        left.mkdir(parents=True)
        (left / "rows.parquet").write_bytes(b"x" * 1_000)
        for path in (left / "rows.parquet", left):
            os.utime(path, (0, 0))
        assert retention(dry_run=True) == Cleared(went=1, held=0, bytes=1_000, rows=0)
        assert left.is_dir()
        assert retention() == Cleared(went=1, held=0, bytes=1_000, rows=0)
        assert not left.exists()
        assert retention() == Cleared(went=0, held=0, bytes=0, rows=0)
