"""What a disk does to a published run is noticed before anybody reads it, named, and mended from the other copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from churn.errors import AuditFailed
from cli.storage import verify
from store.lake import MANIFEST, bucket_file, sha256_of
from store.publication import current_folder
from tests.faults.damage import cut_short, flip_a_byte
from tests.faults.nights import CONTRACT, KIND, Base
from tests.faults.readers import seen_in_files

A_BUCKET = f"scores/{bucket_file(1)}"
FILES = (A_BUCKET, "quarantine/rows.parquet", MANIFEST)
REFUSED = ("AuditFailed: ", "other bytes: ")  # by a digest, and not because nobody could read it


@pytest.fixture
def run(base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the run that readers see; the command line finds the base."""
    monkeypatch.setenv("CHURN_HOME", str(base.home))
    monkeypatch.setenv("CHURN_DATABASE_URL", base.database_url)
    folder = current_folder(base.lake, CONTRACT, KIND)
    assert folder
    return folder


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("damage", [flip_a_byte, cut_short])
def test_a_damaged_file_is_refused_named_and_rebuilt_as_it_was(
    base: Base, run: Path, damage: Callable[[Path], None], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(run)
    damage(run / path)
    assert seen_in_files(base).flaw.startswith(REFUSED)
    with pytest.raises(AuditFailed, match="1 of 1 published runs are not as they were published"):
        verify()
    assert f": file {path} " in capsys.readouterr().out
    verify(rebuild="files")
    assert digests(run) == before
    assert not seen_in_files(base).flaw
    verify()


def digests(run: Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): sha256_of(path) for path in run.rglob("*") if path.is_file()}
