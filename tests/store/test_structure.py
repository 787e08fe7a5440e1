"""The database says of each table, view and column what it is, and is refused where a newer release made it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Engine

from churn.errors import PublicationError
from store import structure
from store.code import ROOT
from store.migrated_views import MIGRATED_VIEWS, migrated_views
from store.migrations import bring_up_to_date
from store.publication import open_publisher
from store.roles import ROLES
from store.settings import Settings
from store.structure import create_all, missing_views
from store.tables import engine_for, metadata
from store.views import views
from tests.store.small_runs import publish

VIEWS = {
    "score_current",
    "score_history",
    "score_revisions",
    "quarantine_current",
    "outreach_current",
    "outreach_history",
    "outreach_status_current",
    "outreach_team_current",
    "night_status",
    "night_alerts",
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = engine_for(database_url)
    bring_up_to_date(engine)
    create_all(engine)
    yield engine
    engine.dispose()


def dictionary(engine: Engine) -> dict[tuple[str, str], str]:
    query = sa.text("SELECT relation, name, description FROM data_dictionary ORDER BY relation, place")
    with engine.connect() as connection:
        return {(relation, name): said for relation, name, said in connection.execute(query)}


def test_the_dictionary_describes_every_table_and_view_and_each_of_their_columns(engine: Engine) -> None:
    there, said = sa.inspect(engine), dictionary(engine)
    for relation in {*there.get_table_names(), *there.get_view_names()} - {"alembic_version"}:
        assert said[relation, relation]
        assert all(said[relation, column["name"]] for column in there.get_columns(relation))
    assert said["score_current", "stale"].startswith("Whether a newer night is due")
    assert said["score_current", "band"] == said["scores", "band"]


def test_every_view_is_there_and_can_be_asked(engine: Engine) -> None:
    there = sa.inspect(engine)
    assert set(there.get_view_names()) == {*VIEWS, *MIGRATED_VIEWS}
    with engine.connect() as connection:
        for view in (*views(engine.dialect.name), *migrated_views()):
            found = connection.execute(sa.text(f"SELECT * FROM {view.name}"))
            assert list(found.keys()) == list(view.described())
            assert found.all() == []


@pytest.mark.postgres
def test_postgresql_keeps_what_the_dictionary_says_as_comments(postgres_url: str) -> None:
    engine = engine_for(postgres_url)
    bring_up_to_date(engine)
    create_all(engine)
    query = """
        SELECT c.relname, coalesce(a.attname, c.relname), d.description
        FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
        LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
        WHERE c.relnamespace = 'public'::regnamespace AND d.classoid = 'pg_class'::regclass
    """
    with engine.connect() as connection:
        comments = {(relation, name): said for relation, name, said in connection.execute(sa.text(query))}
    assert comments == dictionary(engine)


def test_a_second_time_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE data_dictionary SET description = 'mine'"))
    create_all(engine)
    assert set(dictionary(engine).values()) == {"mine"}


@pytest.mark.parametrize(("view", "column"), [("score_history", "customer_id"), ("alarm_current", "subject")])
def test_views_and_descriptions_of_another_release_are_made_anew(engine: Engine, view: str, column: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE structure SET digest = 'of another release'"))
        connection.execute(sa.text(f"DROP VIEW {view}"))
        connection.execute(sa.text(f"CREATE VIEW {view} AS SELECT 1 AS one"))
    create_all(engine)
    assert column in {column["name"] for column in sa.inspect(engine).get_columns(view)}
    assert missing_views_in(engine) == []


def missing_views_in(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [view.name for view in missing_views(connection)]


def test_a_release_with_another_query_of_a_view_has_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    of_this_one, dialect = structure._digest_of_all(sqlite.dialect()), sqlite.dialect()
    of_view = {view.name: view for view in structure._all_views(dialect)}
    for name in ("score_current", "alarm_current"):
        others = of_view | {name: replace(of_view[name], query=of_view[name].query.limit(1))}
        monkeypatch.setattr(structure, "_all_views", lambda _, others=others: tuple(others.values()))
        assert structure._digest_of_all(dialect) != of_this_one


def test_whoever_dies_while_the_tables_are_made_leaves_nothing_half_done(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    engine = engine_for(database_url)
    with monkeypatch.context() as patched:
        patched.setattr(structure, "_describe", dies)
        with pytest.raises(KeyboardInterrupt):
            create_all(engine)
    assert sa.inspect(engine).get_table_names() == []
    create_all(engine)
    assert missing_views_in(engine) == []


def test_a_database_whose_tables_a_newer_release_made_is_refused_and_left_as_it_is(database_url: str) -> None:
    engine = engine_for(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE publication (run_id TEXT PRIMARY KEY, swept_at TIMESTAMP)"))
    with pytest.raises(PublicationError, match=r"table publication of .*has the columns swept_at") as caught:
        create_all(engine)
    assert "CHURN_DATABASE_URL" in caught.value.to_do
    assert sa.inspect(engine).get_table_names() == ["publication"]


@pytest.mark.postgres
@pytest.mark.parametrize("ours", ["score_current", "alarm_current"])
def test_a_view_of_somebody_s_own_on_one_of_ours_is_named_where_it_is_in_the_way(
    postgres_with_tables: str, ours: str
) -> None:
    engine = engine_for(postgres_with_tables)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE VIEW bi_report AS SELECT contract FROM {ours}")
        connection.exec_driver_sql("UPDATE structure SET digest = 'of another release'")
    with pytest.raises(PublicationError, match=f"view bi_report depends on view {ours}") as refused:
        create_all(engine)
    assert refused.value.to_do.startswith("Drop it")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT * FROM bi_report").all() == []
        connection.exec_driver_sql("DROP VIEW bi_report")
    create_all(engine)


def test_every_table_and_column_says_what_it_is() -> None:
    for table in metadata.sorted_tables:
        assert table.comment
        assert [column.name for column in table.columns if not column.comment] == []


def test_the_shape_is_the_same_whatever_else_a_process_has_imported() -> None:
    ask = (
        "from sqlalchemy.dialects import sqlite; from store.structure import _digest; print(_digest(sqlite.dialect()))"
    )
    more = "import store.users, store.registry, store.interventions; "
    little, much = (subprocess.check_output([sys.executable, "-c", text], cwd=ROOT) for text in (ask, more + ask))
    assert little == much


def test_a_view_that_somebody_dropped_comes_back_with_the_next_claim(settings: Settings, database_url: str) -> None:
    publisher = open_publisher(replace(settings, database_url=database_url))
    with publisher.engine.begin() as connection:
        for view in ("score_current", "alarm_current", "night_parity", "uplift_current"):
            connection.exec_driver_sql(f"DROP VIEW {view}")
    publish(publisher, date(2026, 1, 1))
    assert missing_views_in(publisher.engine) == []
    with publisher.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM score_current")) == 40


def test_the_page_of_the_tables_names_every_view_and_every_role() -> None:
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    named = {*VIEWS, *MIGRATED_VIEWS, *(f"churn_{role}" for role in ROLES)}
    assert {name for name in named if f"`{name}`" not in page} == set()
