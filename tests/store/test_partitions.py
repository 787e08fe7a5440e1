"""In PostgreSQL a run's rows are a partition: attached whole, passed by when others are asked for, dropped at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
import sqlalchemy as sa

from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.claims import Claim
from store.lake import bucket_file, write_parquet
from store.loading import Load, Way
from store.partitions import LOCK_MILLISECONDS, fences_in, forget_rows
from store.publication import Publisher, open_publisher
from store.settings import Settings
from store.tables import quarantine, scores
from tests.store.test_publication import FIRST, SECOND, claimed, published, rows_of, seen, write

D1 = FIRST.as_of


@pytest.fixture
def publisher(postgres_with_tables: str, settings: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(replace(settings, database_url=postgres_with_tables))
    yield publisher
    publisher.engine.dispose()


def sealed(publisher: Publisher) -> Claim:
    claim = claimed(publisher, FIRST)
    write(publisher, claim)
    publisher.seal(claim)
    return claim


def asked(publisher: Publisher, query: str) -> list[sa.Row[tuple[object, ...]]]:
    with publisher.engine.connect() as connection:
        return list(connection.execute(sa.text(query)).all())


def partitions(publisher: Publisher) -> set[str]:
    query = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'scores'::regclass"
    return {row.name for row in asked(publisher, query)}


def test_a_run_is_attached_once_it_is_whole_and_nothing_is_left_when_it_is_dropped(publisher: Publisher) -> None:
    claim = sealed(publisher)
    assert partitions(publisher) == set()
    publisher.load(claim)
    assert partitions(publisher) == {f"scores_run_{claim.fence}"}
    publisher.reject(claim, "not good enough")
    assert partitions(publisher) == set()
    assert asked(publisher, "SELECT relname FROM pg_class WHERE relname LIKE '%run_1'") == []


@pytest.mark.parametrize("query", ["SELECT * FROM score_current", "SELECT * FROM score_history WHERE as_of = '{day}'"])
def test_a_query_reads_the_partitions_of_no_other_night(publisher: Publisher, query: str) -> None:
    first, second = published(publisher, FIRST), published(publisher, SECOND)
    plan = asked(publisher, f"EXPLAIN (ANALYZE) {query.format(day=SECOND.as_of)}")
    scans = [str(line[0]) for line in plan if "scores_run_" in str(line[0]) and "never executed" not in str(line[0])]
    assert [line for line in scans if f"scores_run_{second.fence}" in line]
    assert not [line for line in scans if f"scores_run_{first.fence}" in line]


@pytest.mark.parametrize("way", list(Way))
def test_each_way_into_the_table_gives_the_same_rows(publisher: Publisher, way: Way) -> None:
    claim = sealed(publisher)
    folder = publisher.lake.run("telco", "scores", D1, claim.run_id)
    odd = {"key": ["", None, 'a "b", c\n', "100 % ü", "\\N"], "value": [None, "", "NULL", "'", ","]}
    rows = rows_of(QUARANTINE, 5, D1)
    for name, values in odd.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
    rows = rows.set_column(1, "rule", pa.array(["100 % of 'rows'"] * 5))
    write_parquet(rows, folder / "odd" / "rows.parquet")
    Load(publisher.engine, claim, way).table(quarantine, [folder / "odd" / "rows.parquet"])
    Load(publisher.engine, claim, way).table(scores, sorted((folder / "scores").iterdir()))
    names = ", ".join(f'"{name}"' for name in QUARANTINE.names)
    found = [tuple(row) for row in asked(publisher, f"SELECT {names} FROM quarantine ORDER BY row")]
    assert found == [tuple(row.values()) for row in rows.to_pylist()]
    assert asked(publisher, "SELECT count(*), min(as_of), max(probability) FROM scores") == [(100, D1, 0.5)]


def test_a_column_that_all_rows_share_is_kept_once_and_not_in_each_row(publisher: Publisher) -> None:
    claim = claimed(publisher, FIRST)
    folder = publisher.stage(claim)
    rows = rows_of(SCORES, 1000, D1)
    place = rows.column_names.index("model_digest")
    rows = rows.set_column(place, "model_digest", pa.array(["d" * 5000] * 1000))
    write_parquet(rows, folder / "scores" / bucket_file(0))
    publisher.seal(claim)
    publisher.load(claim)
    assert asked(publisher, "SELECT count(*) FROM scores WHERE length(model_digest) = 5000") == [(1000,)]
    small = f"SELECT pg_table_size('scores_run_{claim.fence}') < 1000000"
    assert asked(publisher, small) == [(True,)]


def test_a_run_that_fails_while_loading_is_loaded_anew_by_the_next_try(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = sealed(publisher)
    with monkeypatch.context() as patch:
        patch.setattr("store.loading.complete_run_table", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publisher.load(claim)
    assert partitions(publisher) == set()
    with publisher.engine.connect() as connection:
        assert fences_in(connection, scores) == {claim.fence}
    publisher.load(claim)
    assert publisher.publish(claim).rows == 100


def test_dropping_a_run_keeps_no_reader_waiting_while_another_holds_the_table(publisher: Publisher) -> None:
    old = published(publisher, FIRST)
    claim = claimed(publisher, SECOND)
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    waits: list[float] = []
    with publisher.engine.connect() as report:
        report.execute(sa.text("SELECT count(*) FROM score_current"))  # its locks stay until its transaction ends
        drop = threading.Thread(target=publisher.reject, args=(claim, "not good enough"))
        drop.start()
        while drop.is_alive():
            began = time.perf_counter()
            assert seen(publisher) == {(D1, old.run_id, 100)}
            waits.append(time.perf_counter() - began)
        assert len(partitions(publisher)) == 2
    assert max(waits) < 10 * LOCK_MILLISECONDS / 1000
    assert publisher.sweep() == 1
    assert partitions(publisher) == {f"scores_run_{old.fence}"}


def test_rows_that_nobody_holds_are_dropped(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    forget_rows(publisher.engine, scores, run.fence)
    forget_rows(publisher.engine, scores, run.fence)
    assert partitions(publisher) == set()
