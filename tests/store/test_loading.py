"""A night's rows go into SQLite by and by, since look-ups write into the same file and must not wait for a night."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from churn.errors import Fenced
from schemas.scores import SCORES
from store import lake
from store.claims import Claim
from store.loading import Load, Way, loader
from store.partitions import forget_rows
from store.publication import Publisher
from store.tables import FENCE, engine_for, publication, scores
from tests.faults import nights
from tests.faults.look_ups import looking_up
from tests.faults.nights import Base

AT_ONCE = 200
CUSTOMERS = 500  # of a bucket


@pytest.fixture
def base(tmp_path: Path) -> Base:
    base = Base(tmp_path, f"sqlite:///{tmp_path / 'churn.db'}")
    nights.publish(base.publisher(), nights.night(0))
    return base


@pytest.fixture
def breaths(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Loads and removes a few rows at once, and does something in each pause between two commits."""
    for module in ("loading", "partitions"):
        monkeypatch.setattr(f"store.{module}.AT_ONCE", AT_ONCE)
    return lambda then: monkeypatch.setattr("time.sleep", lambda seconds: then())


def test_others_may_write_between_two_commits_of_a_load(base: Base, breaths: Callable[..., None]) -> None:
    publisher, claim = base.publisher(), claimed(base)
    seen: list[int] = []
    breaths(lambda: seen.append(rows_seen_by_who_writes(publisher, claim)))
    load(publisher, claim, bucket_of(base, copies=1))
    assert seen == [200, 400, CUSTOMERS]


def test_others_may_write_between_two_commits_that_remove_a_run(base: Base, breaths: Callable[..., None]) -> None:
    publisher, claim = base.publisher(), claimed(base)
    load(publisher, claim, bucket_of(base, copies=1))
    seen: list[int] = []
    breaths(lambda: seen.append(rows_seen_by_who_writes(publisher, claim)))
    forget_rows(publisher.engine, scores, claim.fence)
    assert seen == [300, 100]
    assert rows_seen_by_who_writes(publisher, claim) == 0


def test_a_run_that_was_taken_over_midway_through_a_file_adds_nothing_more(
    base: Base, breaths: Callable[..., None]
) -> None:
    publisher, claim = base.publisher(), claimed(base)
    breaths(lambda: abandon(publisher, claim))
    with pytest.raises(Fenced):
        load(publisher, claim, bucket_of(base, copies=1))
    assert rows_seen_by_who_writes(publisher, claim) == AT_ONCE


def test_look_ups_wait_for_a_small_part_of_a_load(base: Base) -> None:
    publisher, claim, file = base.publisher(), claimed(base), bucket_of(base, copies=200)
    with looking_up(base, "C00000") as looks:
        began = time.perf_counter()
        load(publisher, claim, file)
        seconds = time.perf_counter() - began
    assert looks.refused == 0
    assert max(looks.milliseconds) < 1_000 * seconds / 3


def claimed(base: Base) -> Claim:
    claim = base.publisher().claim(nights.unit_of(nights.night(1)), nights.made_of("next"))
    assert isinstance(claim, Claim)
    return claim


def bucket_of(base: Base, copies: int) -> Path:
    """A file with so many times the rows of a small night's bucket, each with a key of its own."""
    rows = pa.concat_tables([nights.scores_of(nights.night(1), 0).slice(0, 400)] * copies)
    rows = pa.concat_tables([rows, rows.slice(0, 100)])
    keys = pa.array([f"K{number:07d}" for number in range(len(rows))])
    path = base.home / "rows.parquet"
    lake.write_parquet(rows.set_column(SCORES.names.index("customer_id"), "customer_id", keys), path)
    return path


def load(publisher: Publisher, claim: Claim, file: Path) -> None:
    Load(publisher.engine, claim).table(scores, [file])


def rows_seen_by_who_writes(publisher: Publisher, claim: Claim) -> int:
    """The run's rows so far, as one sees who can write at once."""
    with publisher.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        found = sa.select(sa.func.count()).select_from(scores).where(scores.c[FENCE] == claim.fence)
        return connection.execute(found).scalar_one()


def abandon(publisher: Publisher, claim: Claim) -> None:
    with publisher.engine.begin() as connection:
        run = sa.update(publication).where(publication.c.run_id == claim.run_id)
        connection.execute(run.values(state="abandoned"))


@pytest.mark.postgres
@pytest.mark.parametrize("way", list(Way))
def test_a_load_that_stands_still_keeps_nobody_waiting_for_what_it_holds(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    monkeypatch.setattr("store.loading.IDLE_SECONDS", 1)
    engine = engine_for(postgres_url)
    with loader(engine, way) as still:
        assert still.holds(sa.select(sa.func.pg_advisory_xact_lock(1)))
        with engine.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
            other.execute(sa.select(sa.func.pg_advisory_xact_lock(1)))
        with pytest.raises(Exception, match=r"terminat|closed|idle"):
            still.commit()
