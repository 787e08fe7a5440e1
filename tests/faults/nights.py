"""A small base whose nights are published for real, and what a reader must find of a whole one.

Every row of a night carries the night's date as a number, so that rows of two nights, or a part of one, add up wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from churn.buckets import bucket_of
from churn.errors import PublicationError
from schemas.columns import LogicalType, Table
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store import lake
from store.claims import Claim, Content, Unit
from store.partitions import fences_in
from store.publication import CURRENT, Published, Publisher, content_key, open_publisher
from store.settings import Settings, read_settings
from store.tables import TABLES_OF, publication

CONTRACT, KIND = "telco", "scores"
CUSTOMERS, BUCKETS, SET_ASIDE = 2_000, 4, 12
FIRST = date(2026, 1, 1)
_DAYS = float(1 << 20)  # a date's number as a fraction of it is exact, and so are sums

Figures = tuple[int, int, float, float, float]  # rows, customers, lowest, highest and sum of the probabilities


@dataclass(frozen=True, slots=True)
class Base:
    """Where the nights go: a folder and a database. It may be handed to another process."""

    home: Path
    database_url: str

    @property
    def settings(self) -> Settings:
        return read_settings({"CHURN_HOME": str(self.home), "CHURN_DATABASE_URL": self.database_url})

    def publisher(self) -> Publisher:
        return open_publisher(self.settings)

    @property
    def lake(self) -> lake.Lake:
        return lake.Lake(self.settings.lake)


def unit_of(as_of: date) -> Unit:
    """The night's scores, known at its first moment."""
    return Unit(CONTRACT, KIND, as_of, datetime.combine(as_of, datetime.min.time()))


def made_of(key: str) -> Content:
    """Content of another key is another revision."""
    return Content(content_key(key), f"extract {key}")


def night(number: int) -> date:
    """The date of a night, counted from the first as 0."""
    return FIRST + timedelta(days=number)


def whole(as_of: date) -> Figures:
    """What the rows of a whole night come to."""
    value = as_of.toordinal() / _DAYS
    return CUSTOMERS, CUSTOMERS, value, value, CUSTOMERS * value


def publish(publisher: Publisher, as_of: date, key: str = "first", *, force: bool = False) -> Published:
    """The whole protocol, or what was published before."""
    claim = publisher.claim(unit_of(as_of), made_of(key), force=force)
    return claim if isinstance(claim, Published) else finish(publisher, claim)


def finish(publisher: Publisher, claim: Claim) -> Published:
    """From a claim to what readers see; a failure gives the night back."""
    try:
        write(publisher, claim)
        publisher.seal(claim)
        publisher.load(claim)
        return publisher.publish(claim)
    except Exception as failed:
        publisher.release(claim, str(failed))
        raise


def write(publisher: Publisher, claim: Claim) -> None:
    """The run's files, with a draft beside them."""
    folder = publisher.stage(claim)
    (publisher.drafts(claim) / lake.bucket_file(0)).touch()
    for bucket in range(BUCKETS):
        lake.write_parquet(scores_of(claim.unit.as_of, bucket), folder / SCORES.name / lake.bucket_file(bucket))
    lake.write_parquet(_rows(QUARANTINE, SET_ASIDE, claim.unit.as_of), folder / QUARANTINE.name / "rows.parquet")


def scores_of(as_of: date, bucket: int) -> pa.Table:
    """A bucket's rows, each of which tells the date in its probability."""
    keys = pa.array([f"C{number:05d}" for number in range(CUSTOMERS)])
    keys = keys.filter(pa.array(bucket_of(keys, BUCKETS) == bucket))
    own = {
        "customer_id": keys,
        "probability": pa.array(np.full(len(keys), as_of.toordinal() / _DAYS)),
        "band": pa.array(["low"] * len(keys)),
        "percentile": pa.array(np.full(len(keys), 50)),
    }
    rows = _rows(SCORES, len(keys), as_of)
    return pa.table({name: own.get(name, rows[name]) for name in rows.column_names})


def _rows(schema: Table, rows: int, as_of: date) -> pa.Table:
    values = {
        LogicalType.STRING: lambda: pa.array([f"v{number:05d}" for number in range(rows)]),
        LogicalType.INTEGER: lambda: pa.array(range(rows), pa.int64()),
        LogicalType.NUMBER: lambda: pa.array(np.arange(rows) / 8),
        LogicalType.DATE: lambda: pa.array([as_of] * rows, pa.date32()),
    }
    return pa.table({column.name: values[column.logical_type]() for column in schema.columns})


def days_later(publisher: Publisher) -> None:
    """Lets every lease run out, by the clock that leases go by: the database's."""
    gone = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=365)
    with publisher.engine.begin() as connection:
        connection.execute(sa.update(publication).values(lease_until=gone))


def published_again(publisher: Publisher, as_of: date, key: str = "first") -> Published:
    """What the next run makes of a night whose run died, once its lease is over."""
    days_later(publisher)
    return publish(publisher, as_of, key)


def left_over(base: Base) -> set[str]:
    """The files, and the rows by table and fence, that belong to no published run."""
    publisher = base.publisher()
    with publisher.engine.connect() as connection:
        runs = connection.execute(sa.select(publication).where(publication.c.state == "published")).all()
        fences = {run.fence for run in runs}
        rows = {f"{table.name} {fence}" for table in TABLES_OF[KIND] for fence in fences_in(connection, table) - fences}
    return rows | _files_of_nobody(base.lake, {base.lake.root / run.folder for run in runs})


def _files_of_nobody(place: lake.Lake, folders: set[Path]) -> set[str]:
    files = {path for path in place.root.rglob("*") if path.is_file() and not folders & set(path.parents)}
    kept = place.published(CONTRACT, KIND) / CURRENT
    staged = set(place.staging.iterdir()) if place.staging.is_dir() else set()
    return {path.relative_to(place.root).as_posix() for path in (files - {kept}) | staged}


def outcome(publisher: Publisher, as_of: date, key: str = "first", *, force: bool = False) -> str:
    """What a run says of itself in one line: `published RUN`, or why not."""
    before = publisher.published(CONTRACT, KIND, as_of)
    try:
        run = publish(publisher, as_of, key, force=force)
    except PublicationError as refused:
        return f"{type(refused).__name__} {refused.what}"
    return f"{'already ' if run == before else ''}published {run.run_id}"
