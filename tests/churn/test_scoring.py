"""The score table's rows: their columns, bands, percentiles and values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.contract import arrow_schema
from churn.lookup import score
from churn.scoring import Stamp, bands, percentile_edges, percentiles, score_rows, with_percentile
from schemas.columns import Role
from schemas.scores import SCORES
from tests import cards

STAMP = Stamp(cards.AS_OF, cards.contract(), model_version=3, model_digest="d" * 64)


@pytest.fixture(scope="module")
def scores() -> pa.Table:
    scored = score_rows(cards.card(), cards.customers(3_000), STAMP)
    return with_percentile(scored, percentile_edges([scored["log_odds"].to_numpy()]))


def test_the_rows_have_the_score_tables_columns_in_its_types(scores):
    assert scores.cast(arrow_schema(SCORES)).schema.equals(arrow_schema(SCORES))
    for column in SCORES.columns:
        assert not column.required or scores[column.name].null_count == 0, column.name
        if column.allowed:
            assert set(scores[column.name].to_pylist()) <= set(column.allowed), column.name


def test_every_row_carries_its_date_model_and_contract(scores):
    first = scores.slice(0, 1).to_pylist()[0]
    assert (first["as_of"], first["model_version"], first["model_digest"]) == (cards.AS_OF, 3, "d" * 64)
    assert first["contract_digest"] == "c" * 64


def test_a_probability_is_that_of_its_log_odds(scores):
    log_odds = scores["log_odds"].to_numpy()
    np.testing.assert_allclose(scores["probability"].to_numpy(), 1 / (1 + np.exp(-log_odds)), rtol=1e-12)


def test_a_customers_value_is_the_value_column_over_the_contracts_months():
    rows = cards.customers(5)
    stamp = Stamp(cards.AS_OF, cards.contract(value_months=24.0), 1, "")
    expected = rows["bill"].to_numpy() * 24.0
    np.testing.assert_allclose(score_rows(cards.card(), rows, stamp)["customer_value"].to_numpy(), expected)


def test_without_a_segment_or_value_column_everybody_is_in_one_segment_of_unknown_value():
    columns = tuple(column for column in cards.COLUMNS if not column.has(Role.SEGMENT, Role.VALUE))
    scored = score_rows(cards.card(), cards.customers(4), Stamp(cards.AS_OF, cards.contract(columns), 1, ""))
    assert scored["segment"].to_pylist() == ["all"] * 4
    assert scored["customer_value"].null_count == 4


@pytest.mark.parametrize(
    ("times_the_base_rate", "band"),
    [(0.0, "low"), (0.49, "low"), (0.5, "medium"), (1.0, "medium"), (1.5, "high"), (2.9, "high"), (3.0, "very high")],
)
def test_a_band_says_how_the_probability_compares_with_the_base_rate(times_the_base_rate, band):
    assert bands(np.array([times_the_base_rate * 0.02]), 0.02).to_pylist() == [band]


@pytest.mark.parametrize("customers", [1, 2, 7, 99, 100, 101, 1_234])
def test_a_percentile_is_the_share_of_the_base_at_or_below_rounded_up(customers):
    log_odds = np.round(np.random.default_rng(customers).normal(size=customers), 1)
    at_or_below = (log_odds[None, :] <= log_odds[:, None]).sum(axis=1)
    expected = -(-100 * at_or_below // customers)
    assert percentiles(log_odds, percentile_edges([log_odds])).tolist() == expected.tolist()


def test_percentiles_do_not_depend_on_how_the_base_is_split():
    log_odds = np.random.default_rng(4).normal(size=1_000)
    whole = percentile_edges([log_odds])
    assert np.array_equal(whole, percentile_edges([log_odds[600:], log_odds[:0], log_odds[:600]]))


def test_a_base_of_nobody_has_no_edges():
    assert len(percentile_edges([np.empty(0)])) == 0


def test_reasons_of_a_split_base_are_those_of_the_whole():
    rows = cards.customers(400)
    whole = score_rows(cards.card(), rows, STAMP).to_pylist()
    parts = [score_rows(cards.card(), rows.slice(start, 100), STAMP).to_pylist() for start in range(0, 400, 100)]
    assert [row for part in parts for row in part] == whole


def test_the_same_customers_give_the_same_bytes():
    first, second = (score_rows(cards.card(), cards.customers(100), STAMP) for _ in range(2))
    assert first.equals(second)
    assert np.array_equal(score(cards.card(), cards.customers(100)).log_odds, first["log_odds"].to_numpy())
