"""A database that an earlier release made opens with every night it had, and takes the next one in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store.publication import Publisher, open_publisher
from store.settings import Settings
from store.structure import create_all
from store.tables import FENCE, engine_for, metadata, scores
from tests.store.test_publication import D1, D2, FIRST, SECOND, count, night_status, published, seen

# As the first release made the tables that say what was published.
FIRST_RELEASE = """
CREATE TABLE publication (
    run_id TEXT NOT NULL PRIMARY KEY,
    contract TEXT NOT NULL,
    kind TEXT NOT NULL,
    as_of DATE NOT NULL,
    known_at TIMESTAMP NOT NULL,
    revision BIGINT,
    content_key TEXT NOT NULL,
    fence BIGINT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    claimed_at TIMESTAMP NOT NULL,
    lease_until TIMESTAMP NOT NULL,
    published_at TIMESTAMP,
    rows BIGINT,
    manifest_sha256 TEXT,
    folder TEXT,
    reason TEXT,
    CONSTRAINT publication_state CHECK (state IN ('claimed', 'staged', 'published', 'rejected', 'abandoned'))
);
CREATE UNIQUE INDEX publication_one_in_flight ON publication (contract, kind, as_of)
    WHERE state IN ('claimed', 'staged');
CREATE TABLE night_pointer (
    contract TEXT NOT NULL, kind TEXT NOT NULL, as_of DATE NOT NULL,
    run_id TEXT NOT NULL REFERENCES publication (run_id), fence BIGINT NOT NULL,
    PRIMARY KEY (contract, kind, as_of)
);
CREATE TABLE current_pointer (
    contract TEXT NOT NULL, kind TEXT NOT NULL, as_of DATE NOT NULL,
    run_id TEXT NOT NULL REFERENCES publication (run_id), fence BIGINT NOT NULL,
    PRIMARY KEY (contract, kind)
);
INSERT INTO publication VALUES ('000001-aa', 'telco', 'scores', '2026-01-01', '2026-01-01 00:00:00.000000', 1, 'k',
    1, 'published', '2026-01-01 04:00:00.000000', '2026-01-01 04:10:00.000000', '2026-01-01 04:05:00.000000', 2,
    'abcd', 'runs/telco/scores/as_of=2026-01-01/000001-aa', NULL);
INSERT INTO publication VALUES ('000002-bb', 'telco', 'scores', '2026-01-02', '2026-01-02 00:00:00.000000', NULL, 'k',
    2, 'rejected', '2026-01-02 04:00:00.000000', '2026-01-02 04:10:00.000000', NULL, NULL, NULL, NULL, 'not good');
INSERT INTO night_pointer VALUES ('telco', 'scores', '2026-01-01', '000001-aa', 1);
INSERT INTO current_pointer VALUES ('telco', 'scores', '2026-01-01', '000001-aa', 1);
CREATE TABLE scores (fence BIGINT NOT NULL, {scores});
CREATE UNIQUE INDEX scores_by_run ON scores (fence, customer_id);
INSERT INTO scores SELECT 1, {values} FROM (SELECT 'C1' AS customer_id UNION ALL SELECT 'C2') AS customers;
CREATE VIEW score_current AS SELECT customer_id, probability FROM scores;
"""


def make_first_release(engine: Engine) -> None:
    own = [column for column in scores.columns if column.name != FENCE]
    shape = ", ".join(f'"{c.name}" {c.type.compile(engine.dialect)} {"" if c.nullable else "NOT NULL"}' for c in own)
    values = ", ".join("customer_id" if c.name == "customer_id" else value_of(c) for c in own)
    with engine.begin() as connection:
        for statement in FIRST_RELEASE.format(scores=shape, values=values).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def value_of(column: sa.Column[object]) -> str:
    kinds = {sa.Text: "'word'", sa.BigInteger: "7", sa.Double: "0.25", sa.Date: "date('2026-01-01')"}
    return "NULL" if column.nullable else kinds[type(column.type)]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = engine_for(database_url)
    yield engine
    engine.dispose()


def opened(engine: Engine, settings: Settings) -> Publisher:
    return open_publisher(replace(settings, database_url=engine.url.render_as_string(hide_password=False)))


def test_a_database_of_the_first_release_keeps_its_nights_and_takes_the_next_one_in(
    engine: Engine, settings: Settings
) -> None:
    make_first_release(engine)
    publisher = opened(engine, settings)
    assert seen(publisher) == seen(publisher, "score_history") == {(D1, "000001-aa", 2)}
    first, second = (night_status(publisher, day) for day in (D1, D2))
    assert (first["last_state"], first["run_id"], first["revision"]) == ("published", "000001-aa", 1)
    assert (second["last_state"], second["reason"], second["last_run"]) == ("rejected", "not good", "000002-bb")
    run = published(publisher, SECOND)
    assert run.fence == 3
    assert seen(publisher) == {(D2, run.run_id, 100)}
    assert seen(publisher, "score_history") == {(D1, "000001-aa", 2), (D2, run.run_id, 100)}
    publisher.record_failure(FIRST, "a state that the first release did not know")


def make_without(engine: Engine, missing: Iterable[str], strict: Iterable[str] = ()) -> None:
    """The tables of a release whose scores lack some columns, and must have a value in others."""
    before = metadata.tables.values()
    earlier = sa.MetaData()
    for table in before:
        copy = table.to_metadata(earlier)
        if table is scores:
            for column in [copy.c[name] for name in missing]:
                copy._columns.remove(column)
            for name in strict:
                copy.c[name].nullable = False
    earlier.create_all(engine)


@pytest.mark.parametrize(
    ("missing", "strict"), [(("band", "percentile"), ()), ((), ("reason_1_feature",)), (("band",), ("reason_1_value",))]
)
def test_a_column_that_is_new_or_may_be_empty_now_is_so_without_a_row_being_lost(
    engine: Engine, settings: Settings, missing: tuple[str, ...], strict: tuple[str, ...]
) -> None:
    make_without(engine, missing, strict)
    with engine.begin() as connection:
        add_run(connection, missing, strict)
    publisher = opened(engine, settings)
    with engine.connect() as connection:
        (row,) = connection.execute(sa.text("SELECT * FROM scores")).mappings()
    assert row["customer_id"] == "C1"
    assert [row[name] for name in missing] == [None] * len(missing)
    run = published(publisher, SECOND)
    assert seen(publisher) == {(D2, run.run_id, 100)}
    with engine.connect() as connection:
        assert not {name for name in missing if connection.scalar(sa.text(f"SELECT {name} FROM score_current")) is None}
    assert count(publisher, "scores") == 101


def test_a_view_of_somebody_s_own_lets_sqlite_gain_a_column(settings: Settings, tmp_path: Path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path / 'earlier.db'}")
    make_without(engine, ("band",))
    with engine.begin() as connection:
        add_run(connection, ("band",), ())
        connection.exec_driver_sql("CREATE VIEW score_current AS SELECT customer_id FROM scores")
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT customer_id FROM score_current")
    run = published(opened(engine, settings), FIRST)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM mine")) == run.rows


def add_run(connection: sa.Connection, missing: Iterable[str], strict: Iterable[str]) -> None:
    """A row of an earlier run, as that release would have loaded it."""
    known = [c for c in scores.columns if c.name not in (FENCE, *missing)]
    values = {c.name: "'word'" if c.name in strict else value_of(c) for c in known} | {"customer_id": "'C1'"}
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("CREATE TABLE scores_run_0 PARTITION OF scores FOR VALUES IN (0)")
    connection.exec_driver_sql(
        f"INSERT INTO scores (fence, {', '.join(values)}) VALUES (0, {', '.join(values.values())})"
    )


def test_a_database_of_this_release_stays_as_it_is_when_only_its_words_changed(
    engine: Engine, settings: Settings
) -> None:
    publisher = opened(engine, settings)
    run = published(publisher, FIRST)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE structure SET digest = 'of another release'"))
        connection.execute(sa.text("UPDATE data_dictionary SET description = 'old words'"))
    create_all(engine)
    assert seen(publisher) == {(D1, run.run_id, 100)}
    with engine.connect() as connection:
        words = sa.text("SELECT count(*) FROM data_dictionary WHERE description = 'old words'")
        assert connection.scalar(words) == 0
