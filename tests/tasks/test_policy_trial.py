"""A policy is tried on the customers whom the published list was decided for."""

from __future__ import annotations

import os
import shutil
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from churn.errors import RequestError
from store.lake import bucket_file, describe, write_manifest, write_parquet
from store.settings import current_settings
from tasks.night import Night
from tasks.policy_trial import tried_on
from tests.end_to_end.nights import living_in
from tests.watched_nights import BUCKETS, EXTRACT, customers, publish_night, save_card

AS_OF = date(2026, 1, 1)


def built_by_other_code(night: Night) -> None:
    """A later snapshot of the same facts, in which nobody may be contacted; its name comes after the night's."""
    folder = night.snapshot.with_name(night.snapshot.name.replace("e" * 16, "f" * 16))
    shutil.copytree(night.snapshot, folder)
    rows = customers()
    nobody = rows.set_column(rows.column_names.index("do_not_contact"), "do_not_contact", pa.array([True] * len(rows)))
    for bucket in range(BUCKETS):
        file = folder / bucket_file(bucket)
        file.unlink()
        write_parquet(nobody.slice(bucket * len(rows) // BUCKETS, len(rows) // BUCKETS), file)
    write_manifest(describe(folder, {"extract": EXTRACT}), folder)
    for file in folder.iterdir():
        os.utime(file, (time.time() + 3_600,) * 2)


def test_it_is_tried_on_the_snapshot_that_was_there_and_not_on_a_later_one(tmp_path: Path) -> None:
    with living_in(tmp_path):
        night = publish_night(current_settings(), AS_OF, customers(), save_card(current_settings()))
        built_by_other_code(night)
        trial = tried_on("telco", "telco", AS_OF)
        assert trial.in_force is not None
        assert trial.tried.customers == trial.in_force.customers != frozenset()
        shutil.rmtree(night.snapshot.parent)
        with pytest.raises(RequestError, match="the customers of that night are not kept any more"):
            tried_on("telco", "telco", AS_OF)
