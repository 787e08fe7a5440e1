"""What a whole night published is restored to the byte from the tables, and the tables from the files."""

from __future__ import annotations

import shutil

from store.lake import MANIFEST, sha256_of
from store.partitions import forget_rows
from store.publication import open_publisher
from store.rebuilding import rebuild_files, rebuild_tables
from store.runs import published_runs
from store.settings import current_settings
from store.tables import TABLES_OF
from store.verification import verified
from tests.end_to_end.nights import Nights


def test_a_night_is_restored_from_either_of_its_copies(nights: Nights) -> None:
    settings = current_settings()
    publisher = open_publisher(settings)
    assert [found for _, found in verified(publisher)] == [(), ()]
    for run in published_runs(publisher):
        shutil.rmtree(run.folder)
        rebuild_files(publisher, run, settings.buckets)
        assert sha256_of(run.folder / MANIFEST) == run.manifest_sha256
        for table in TABLES_OF[run.unit.kind]:
            forget_rows(publisher.engine, table, run.fence)
        rebuild_tables(publisher, run)
    assert [found for _, found in verified(publisher)] == [(), ()]
