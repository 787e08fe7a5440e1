"""What is asked of one customer is found by an index, however many customers and nights there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from store.lookups import contacts_with, decision_about, newest_score, nights_of, score_of_night
from store.migrations import bring_up_to_date
from store.settings import Settings
from store.structure import create_all
from store.tables import engine_for
from tests.api.lists import customer, publish_list
from tests.api.service import TINY

NIGHTS = (date(2026, 1, 1), date(2026, 1, 2))
ASKED: dict[str, Callable[[Connection, str], Any]] = {
    "newest score": lambda connection, key: newest_score(connection, TINY.name, key),
    "score of a night": lambda connection, key: score_of_night(connection, TINY.name, key, NIGHTS[0]),
    "decision": lambda connection, key: decision_about(connection, TINY.name, key, NIGHTS[1]),
    "contacts": lambda connection, key: contacts_with(connection, TINY.name, key, 20),
    "nights": lambda connection, key: nights_of(connection, TINY.name, key, 30),
}
SMALL = {"night_pointer", "current_pointer", "publication"}  # a row or two for each night


@pytest.fixture
def engine(settings: Settings) -> Engine:
    made = engine_for(settings.database_url)
    bring_up_to_date(made)
    create_all(made)
    for night in NIGHTS:
        publish_list(settings, list(range(8)), night)
    return made


@pytest.mark.parametrize("question", ASKED)
def test_every_statement_finds_its_rows_by_an_index(engine: Engine, question: str):
    steps = [step for plan in plans(engine, ASKED[question]) for step in plan]
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert steps
    assert scanned <= SMALL


def plans(engine: Engine, ask: Callable[[Connection, str], Any]) -> list[list[str]]:
    """How SQLite goes about each statement of the question."""
    asked: list[tuple[str, Any]] = []
    with engine.connect() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *of: asked.append((of[2], of[3])))
        assert ask(connection, customer(3)) is not None
        statements = list(asked)
        raw = connection.connection.cursor()
        return [[row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {text}", given)] for text, given in statements]


def test_a_night_is_told_as_it_was_and_one_that_never_was_is_none(engine: Engine):
    with engine.connect() as connection:
        newest, first = (score_of_night(connection, TINY.name, customer(3), night) for night in (None, NIGHTS[0]))
        assert newest is not None
        assert first is not None
        assert (newest["as_of"], first["as_of"]) == (NIGHTS[1], NIGHTS[0])
        assert score_of_night(connection, TINY.name, customer(3), date(2025, 1, 1)) is None
        assert score_of_night(connection, TINY.name, "nobody", None) is None
        assert decision_about(connection, TINY.name, customer(3), date(2025, 1, 1)) is None
