"""A scorecard as SQL gives, in three databases, what the night gives; whatever the columns are called."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.card_sql import card_sql
from churn.errors import ArtifactRefused, RequestError
from churn.lookup import score
from churn.metrics import probability
from churn.scorecard import Feature, Kind, Scorecard, Term
from schemas.columns import Column, LogicalType, Role
from schemas.contract import Contract
from tests import cards

CLOSE = {"rtol": 0.0, "atol": 1e-9}

IN_DUCKDB = """\
-- a card of four features
WITH inputs AS MATERIALIZED (
  SELECT
    c."customer_id",
    NULLIF(CAST(c."tenure" AS DOUBLE PRECISION), CAST('NaN' AS DOUBLE PRECISION)) AS "tenure",
    NULLIF(CAST(c."dropped" AS DOUBLE PRECISION), CAST('NaN' AS DOUBLE PRECISION)) AS "dropped",
    CAST(c."in_contract" AS INTEGER) AS "in_contract",
    c."plan"
  FROM "bi"."customers" AS c
),
scored AS MATERIALIZED (
  SELECT
    "customer_id" AS customer_id,
    -2.0e0
    + CASE WHEN "tenure" IS NULL THEN 0.1e0
      WHEN "tenure" < 3.0e0 THEN 0.8e0
      WHEN "tenure" < 10.5e0 THEN 0.3e0
      WHEN "tenure" < 13.5e0 THEN 0.6e0
      ELSE -0.9e0 END
    + CASE WHEN "dropped" IS NULL THEN 0.0e0
      WHEN "dropped" < 0.02e0 THEN -0.2e0
      WHEN "dropped" < 0.05e0 THEN 0.1e0
      ELSE 0.7e0 END
    + CASE WHEN "in_contract" IS NULL THEN 0.0e0
      WHEN "in_contract" < 0.5e0 THEN 0.5e0
      ELSE -0.5e0 END
    + CASE WHEN "plan" IS NULL THEN -0.1e0
      WHEN "plan" IN ('P1') THEN 0.0e0
      WHEN "plan" IN ('P2') THEN 0.2e0
      WHEN "plan" IN ('P3') THEN 0.4e0
      ELSE 0.05e0 END
    + CASE WHEN "tenure" IS NULL THEN CASE WHEN "plan" IS NULL THEN 0.0e0 WHEN "plan" IN ('P1', 'P2') THEN 1.0e0 \
WHEN "plan" IN ('P3') THEN 2.0e0 ELSE 3.0e0 END
      WHEN "tenure" < 10.5e0 THEN CASE WHEN "plan" IS NULL THEN 4.0e0 WHEN "plan" IN ('P1', 'P2') THEN 5.0e0 \
WHEN "plan" IN ('P3') THEN 6.0e0 ELSE 7.0e0 END
      ELSE 0.25e0 END
    AS log_odds
  FROM inputs
)
SELECT customer_id, log_odds, 0.5 * (1.0 + tanh(0.5 * log_odds)) AS probability
FROM scored
"""

Rows = dict[str, tuple[float, float]]
Ask = Callable[[str, pa.Table], Rows]  # the answer to an SQL text about the table `customers`


def in_sqlite(sql: str, rows: pa.Table) -> Rows:
    with adbc_driver_sqlite.dbapi.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("customers", rows)
        cursor.execute(sql)
        return _answers(cursor.fetchall())


def in_duckdb(sql: str, rows: pa.Table) -> Rows:
    with duckdb.connect() as connection:
        connection.register("customers", rows)
        return _answers(connection.execute(sql).fetchall())


def in_postgres(url: str) -> Ask:
    def ask(sql: str, rows: pa.Table) -> Rows:
        with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("customers", rows)
            cursor.execute(sql)
            return _answers(cursor.fetchall())

    return ask


def _answers(found: list[tuple[str, float, float]]) -> Rows:
    return {key: (log_odds, chance) for key, log_odds, chance in found}


@pytest.fixture(params=["sqlite", "duckdb", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> tuple[str, Ask]:
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url")).replace("+psycopg", "")
        return request.param, in_postgres(url)
    return request.param, {"sqlite": in_sqlite, "duckdb": in_duckdb}[request.param]


def require_alike(answers: Rows, card: Scorecard, rows: pa.Table, key: str = "customer_id") -> None:
    expected = score(card, rows).log_odds
    found = np.array([answers[name] for name in rows[key].to_pylist()])
    assert len(answers) == rows.num_rows
    np.testing.assert_allclose(found[:, 0], expected, **CLOSE)
    np.testing.assert_allclose(found[:, 1], probability(expected), **CLOSE)


def test_ten_thousand_customers_score_in_the_database_as_in_the_night(database):
    dialect, ask = database
    rows = with_strange_numbers(cards.customers(10_000))
    require_alike(ask(card_sql(wide_card(), cards.contract(), dialect, "customers"), rows), wide_card(), rows)


def test_log_odds_beyond_what_exp_can_hold_have_a_probability(database):
    dialect, ask = database
    terms = (Term((2,), (np.arange(3),), np.array([0.0, -2_000.0, 2_000.0])),)
    card = Scorecard(1e-5, cards.card().features, terms, 0.1)
    rows = cards.customers(100)
    require_alike(ask(card_sql(card, cards.contract(), dialect, "customers"), rows), card, rows)


def test_names_and_categories_that_would_end_their_quotes_do_not(database):
    dialect, ask = database
    card, contract, rows = named('a"b; --', "x'); DROP TABLE customers; --", "back\\slash' OR 1=1")
    heading = "first\nDROP TABLE customers;\rsecond"
    require_alike(ask(card_sql(card, contract, dialect, "customers", heading=heading), rows), card, rows, contract.key)


odd_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(name=odd_text.filter(lambda name: name.lower() not in ("key", "other")), category=odd_text, heading=odd_text)
@pytest.mark.parametrize("ask", [in_sqlite, in_duckdb])
def test_any_name_and_any_category_can_be_said(ask, name, category, heading):
    card, contract, rows = named(name, category, category + "'")
    dialect = "sqlite" if ask is in_sqlite else "duckdb"
    answers = ask(card_sql(card, contract, dialect, "customers", heading=heading), rows)
    require_alike(answers, card, rows, contract.key)


def test_the_text_of_a_small_card_reads_like_its_tables():
    card = cards.card()
    pair = replace(card.terms[-1], table=np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [0.25] * 4]))
    card = replace(card, terms=(*card.terms[:-1], pair))
    assert card_sql(card, cards.contract(), "duckdb", "bi.customers", heading="a card of four features") == IN_DUCKDB


def test_without_a_heading_the_text_says_whose_card_it_is_and_what_it_foretells():
    first = card_sql(cards.card(), cards.contract(), "sqlite", "customers").splitlines()[:2]
    assert all(line.startswith("-- ") for line in first)
    assert "contract tiny 1" in first[0]
    assert "30 days" in first[1]


def test_neighbouring_bins_that_add_the_same_are_one_branch():
    flat = Term((0,), (np.arange(5),), np.array([0.5, 0.25, 0.25, 0.25, 0.75]))
    sql = card_sql(replace(cards.card(), terms=(flat,)), cards.contract(), "sqlite", "customers")
    assert 'WHEN "tenure" < 13.5 THEN 0.25' in sql
    assert sql.count("0.25") == 1


def test_sqlite_refuses_a_table_without_a_feature_instead_of_scoring_its_name():
    sql = card_sql(cards.card(), cards.contract(), "sqlite", "customers")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE customers (customer_id TEXT, dropped REAL, in_contract INTEGER, plan TEXT)")
        with pytest.raises(sqlite3.OperationalError, match="tenure"):
            connection.execute(sql)


def test_a_card_for_another_contract_is_refused():
    columns = tuple(column for column in cards.COLUMNS if column.name != "tenure")
    with pytest.raises(ArtifactRefused, match="tenure"):
        card_sql(cards.card(), cards.contract(columns), "sqlite", "customers")


def test_a_category_that_no_sql_text_can_hold_is_refused():
    card, contract, _ = named("plan", "nothing\0ness", "P2")
    with pytest.raises(RequestError, match="NUL"):
        card_sql(card, contract, "sqlite", "customers")


def wide_card() -> Scorecard:
    """The small card with cuts and cells of all seventeen digits, a second pair and a term that is the same for all."""
    card, dice = cards.card(), np.random.default_rng(7)
    cuts = np.sort(dice.beta(1.0, 30.0, 24))
    dropped = replace(card.features[1], cuts=cuts)
    terms = (
        *(replace(term, table=dice.normal(size=term.table.shape)) for term in card.terms if term.features != (1,)),
        Term((1,), (np.arange(26),), dice.normal(size=26)),
        Term((1, 2), (np.arange(26) // 2, np.arange(3)), dice.normal(size=(13, 3)) * 1e-6),
        Term((3,), (np.arange(5),), np.full(5, 0.125)),
    )
    return Scorecard(-2.1, (card.features[0], dropped, *card.features[2:]), terms, 0.1)


def with_strange_numbers(rows: pa.Table) -> pa.Table:
    """Some customers lie exactly on a cut, some beyond every number, and some have NaN for missing."""
    dropped = rows["dropped"].to_numpy().copy()
    dropped[:24] = wide_card().features[1].cuts
    dropped[24:30] = [np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324]
    place = rows.schema.get_field_index("dropped")
    return rows.set_column(place, "dropped", pa.array(dropped, mask=rows["dropped"].is_null().to_numpy()))


def named(name: str, *categories: str) -> tuple[Scorecard, Contract, pa.Table]:
    """A card of a category and a number by these names, its contract, and customers of every category."""
    features = (Feature(name, Kind.CATEGORY, name, categories=categories), cards.card().features[0])
    features = (features[0], replace(features[1], name="other"))
    sizes = [feature.bins for feature in features]
    dice = np.random.default_rng(3)
    axes = tuple(np.arange(size) for size in sizes)
    terms = (Term((0,), axes[:1], dice.normal(size=sizes[0])), Term((0, 1), axes, dice.normal(size=sizes)))
    columns = (
        Column("key", LogicalType.STRING, "key", roles=(Role.KEY,)),
        Column(name, LogicalType.STRING, name, roles=(Role.FEATURE,), allowed=categories),
        Column("other", LogicalType.INTEGER, "other", roles=(Role.FEATURE,)),
    )
    values = [*categories, "never seen", None]
    rows = pa.table(
        {
            "key": [str(place) for place in range(len(values))],
            name: pa.array(values, pa.string()),
            "other": pa.array([1, None, 12, 20][: len(values)], pa.int64()),
        }
    )
    return Scorecard(0.5, features, terms, 0.1), cards.contract(columns), rows
