"""The server that the tests against PostgreSQL rely on."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from tests import postgres_server


def test_a_test_gets_a_fresh_empty_database(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE leftover (n int)"))
    engine.dispose()


def test_nothing_is_left_of_another_tests_database(postgres_server_url: object, postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    assert inspect(engine).get_table_names() == []
    with engine.connect() as connection:
        names = connection.scalars(text("SELECT datname FROM pg_database WHERE datname LIKE 'churn_%'")).all()
    assert make_url(postgres_url).database in names
    engine.dispose()


def test_a_named_server_that_does_not_answer_fails_and_never_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres_server.NAMED_SERVER, "postgresql://nobody:x@127.0.0.1:1/none")
    with pytest.raises(pytest.fail.Exception, match="does not answer"), postgres_server.server():
        pass
