"""Runs nights in a home, and reads what its users would see of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from store.lake import Lake, bucket_file, read_parquet
from store.publication import CURRENT
from store.settings import current_settings
from store.tables import engine_for
from tasks.night import Summary

KINDS = ("scores", "outreach")
VIEWS = ("score_current", "outreach_current", "outreach_status_current", "quarantine_current")

BUCKETS = 2  # enough to have several; each is three more tasks of a night, of which the server keeps book
ELSEWHERE = ("CHURN_DATA", "CHURN_ARTIFACTS", "CHURN_DATABASE_URL", "CHURN_SOURCE_URL", "CHURN_ZONE")


@contextmanager
def living_in(home: Path, **others: str) -> Iterator[None]:
    """An environment that puts data, artifacts and database below a folder, but for what `others` say.

    Nights start no service of their own there, which takes them three seconds.
    """
    usual = {"CHURN_BUCKETS": str(BUCKETS), "CHURN_CORES": "2", "CHURN_PARITY": "off"}
    with pytest.MonkeyPatch.context() as environment:
        for name in ELSEWHERE:
            environment.delenv(name, raising=False)
        for name, value in {**usual, "CHURN_HOME": str(home), **others}.items():
            environment.setenv(name, value)
        yield


@dataclass(frozen=True, slots=True)
class Nights:
    """The nights of one home, by default from one source."""

    home: Path
    source: str

    def run(self, as_of: str, source: str | None = None, **parameters: Any) -> Summary:
        """A whole night."""
        from flows.nightly import nightly  # Prefect reads the environment when it is imported

        return nightly(as_of=as_of, source=source or self.source, **parameters)

    def shown(self) -> dict[str, Any]:
        """All that readers of the database and of the lake can see."""
        pointers = {kind: self._pointer(kind) for kind in KINDS}
        return pointers | {view: view_rows(view) for view in VIEWS}

    def files(self) -> set[Path]:
        """Every file of the lake and of the artifacts."""
        return {path for part in ("data/lake", "artifacts") for path in (self.home / part).rglob("*") if path.is_file()}

    def _pointer(self, kind: str) -> str:
        return (Lake(current_settings().lake).published("telco", kind) / CURRENT).read_text()


def view_rows(view: str) -> list[dict[str, Any]]:
    """The rows of a view of the settings' database, but for their ages, which are others at each look."""
    engine = engine_for(current_settings().database_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT * FROM {view}")).mappings()
        return [{name: value for name, value in row.items() if not name.endswith("age_hours")} for row in rows]


def snapshot_rows(summary: Summary) -> pa.Table:
    """The customers of the night's snapshot."""
    night = summary.night
    return read_parquet([night.snapshot / bucket_file(bucket) for bucket in night.every_bucket])


def published_rows(folder: Path, table: str) -> pa.Table:
    """The rows of one table in a published run's folder."""
    return read_parquet(sorted((folder / table).glob("*.parquet")))
