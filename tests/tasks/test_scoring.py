"""What a run finds of the scores that one before it had finished."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from store.lake import bucket_file
from tasks import scoring
from tasks.night import Champions, Night, Pinned

MOMENT = datetime.fromisoformat("2026-01-01T00:00:00")
CHAMPIONS = Champions((Pinned("all", 1, "0" * 64, "scorecard", 0.02),))


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night whose snapshot is not there: whoever scores a bucket of it fails."""
    return Night("telco", "telco", date(2026, 1, 1), MOMENT, tmp_path / "extract", "e" * 64, tmp_path / "snapshot", 2)


def test_a_bucket_that_was_scored_is_not_scored_again(night: Night) -> None:
    drafts = scoring.drafts(night, "a" * 64)
    drafts.mkdir(parents=True)
    (drafts / bucket_file(0)).write_bytes(b"scored")
    scoring.score_bucket.fn(CHAMPIONS, night, drafts, 0)
    assert (drafts / bucket_file(0)).read_bytes() == b"scored"
    with pytest.raises(FileNotFoundError):
        scoring.score_bucket.fn(CHAMPIONS, night, drafts, 1)


def test_drafts_are_found_by_all_that_decides_them_and_gone_once_they_are_forgotten(night: Night) -> None:
    drafts = scoring.drafts(night, "a" * 64)
    drafts.mkdir(parents=True)
    assert scoring.drafts(night, "b" * 64) != drafts
    assert scoring.drafts(replace(night, snapshot=night.snapshot / "other"), "a" * 64) != drafts
    scoring.forget(drafts)
    scoring.forget(drafts)
    assert not drafts.exists()
