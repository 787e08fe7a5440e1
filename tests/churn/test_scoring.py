"""The score table's rows: their columns, bands, percentiles and values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from churn.contract import arrow_schema
from churn.errors import ArtifactRefused
from churn.estimators import Estimator, contributions, log_odds
from churn.lookup import score
from churn.reasons import strongest, value_words
from churn.scorecard import Feature, Kind
from churn.scoring import (
    FEW,
    Stamp,
    bands,
    explained,
    percentile_edges,
    percentiles,
    require_features,
    score_rows,
    with_percentile,
)
from churn.training import TrainingPlan, labels_of
from churn.training.estimators import fit_estimator
from schemas.columns import Column, LogicalType, Role
from schemas.scores import SCORES
from tests import cards

STAMP = Stamp(cards.AS_OF, cards.contract(), model_version=3, model_digest="d" * 64)
REASON_COLUMNS = [name for name in SCORES.names if name.startswith(("reason_", "relief_"))]


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


@pytest.mark.parametrize("rows", [0, 1, FEW, FEW + 1])
def test_a_few_rows_are_scored_without_the_compiler_to_the_same_bit(rows: int):
    base = cards.customers(3_000)
    whole = score_rows(cards.card(), base, STAMP)
    for start in (0, 1_000, 2_000):
        few = score_rows(cards.card(), base.slice(start, rows), STAMP)
        assert few.to_pylist() == whole.slice(start, rows).to_pylist()
        assert few.schema == whole.schema


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


def test_a_score_carries_the_region_that_the_contract_names():
    rows, region = cards.customers(2), Column("region", LogicalType.STRING, "region", roles=(Role.REGION,))
    placed = rows.append_column("region", pa.array(["north", None]))
    stamp = Stamp(cards.AS_OF, cards.contract((*cards.COLUMNS, region)), 1, "")
    assert score_rows(cards.card(), placed, stamp)["region"].to_pylist() == ["north", None]
    assert score_rows(cards.card(), placed, STAMP)["region"].null_count == 2, "a contract that names none"


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


@pytest.fixture(scope="module")
def regression() -> Estimator:
    rows = cards.lessons(1_000)
    columns = [column for column in cards.COLUMNS if column.has(Role.FEATURE)]
    return fit_estimator(rows, labels_of(rows), columns, TrainingPlan(kind="logistic_regression"))


def test_an_estimators_rows_have_the_same_columns_in_the_same_types(regression):
    by_card, by_estimator, unexplained = (
        score_rows(cards.card(), cards.customers(200), STAMP),
        score_rows(regression, cards.customers(200), STAMP),
        score_rows(regression, cards.customers(200), STAMP, explain=False),
    )
    assert by_estimator.schema.equals(by_card.schema)
    assert unexplained.schema.equals(by_card.schema)


def test_an_estimators_reasons_are_its_strongest_contributions(regression):
    rows = cards.customers(200)
    addends = contributions(regression, rows)
    scored = score_rows(regression, rows, STAMP)
    assert np.array_equal(scored["log_odds"].to_numpy(), log_odds(regression, rows))
    for of_customer, row in zip(addends.T, scored.to_pylist(), strict=True):
        raising = [row[f"reason_{place}_log_odds"] for place in (1, 2, 3)]
        expected = sorted((addend for addend in of_customer.tolist() if addend > 0), reverse=True)[:3]
        assert raising == expected + [None] * (3 - len(expected))
        assert row["relief_1_log_odds"] == min((addend for addend in of_customer.tolist() if addend < 0), default=None)
        for feature, added in zip((row[f"reason_{place}_feature"] for place in (1, 2, 3)), raising, strict=True):
            names = [one.name for one in regression.inputs]
            assert feature is None or of_customer[names.index(feature)] == added


def test_without_being_asked_an_estimator_gives_no_reasons(regression):
    scored = score_rows(regression, cards.customers(20), STAMP, explain=False)
    assert all(scored[name].null_count == 20 for name in REASON_COLUMNS)


def test_the_outreach_lists_reasons_are_those_of_the_whole_base(regression):
    rows = cards.customers(50)
    listed = pa.array([3, 17, 40])
    for model in (regression, cards.card()):
        alone = explained(model, rows.take(listed))
        assert alone.column_names == REASON_COLUMNS
        whole = score_rows(model, rows, STAMP).select(REASON_COLUMNS)
        assert alone.to_pylist() == whole.take(listed).to_pylist()


def test_nobody_gives_no_rows_of_an_estimator(regression):
    assert score_rows(regression, cards.customers(5).slice(0, 0), STAMP).num_rows == 0


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        (Feature("tenure", Kind.WHOLE, "tenure", "months"), 11.0, "tenure: 11 months"),
        (Feature("tenure", Kind.WHOLE, "tenure", "months"), 1.0, "tenure: 1 month"),
        (Feature("tenure", Kind.WHOLE, "tenure", "months"), np.nan, "tenure: not on record"),
        (Feature("age", Kind.WHOLE, "age group", labels={"2": "30 to 39"}), 2.0, "age group: 30 to 39"),
        (Feature("seconds", Kind.WHOLE, "seconds of use", "seconds"), 4_370.0, "seconds of use: 4,370"),
        (Feature("bill", Kind.NUMBER, "monthly bill", "EUR"), 29.95432, "monthly bill: 29.95 EUR"),
        (Feature("dropped", Kind.NUMBER, "dropped calls", "share"), 0.0321, "dropped calls: 3.21 %"),
        (Feature("in_contract", Kind.YES_NO, "in contract"), 0.0, "in contract: no"),
        (Feature("in_contract", Kind.YES_NO, "in contract"), 1.0, "in contract: yes"),
        (Feature("plan", Kind.CATEGORY, "plan", categories=("P1", "P2")), 2.0, "plan: P2"),
        (Feature("plan", Kind.CATEGORY, "plan", categories=("P1",), labels={"P1": "Basic"}), 1.0, "plan: Basic"),
        (Feature("plan", Kind.CATEGORY, "plan", categories=("P1", "P2")), 3.0, "plan: one never seen before"),
    ],
)
def test_what_a_customer_has_is_said_in_words(feature, value, words):
    assert value_words(feature, value) == words


def test_equal_contributions_are_named_in_the_order_of_the_inputs():
    addends = np.array([[0.2, -1.0], [0.5, 0.0], [0.2, 0.1], [0.2, -1.0]])
    assert strongest(addends, 3).tolist() == [[1, 2], [0, -1], [2, -1]]
    assert strongest(-addends, 1).tolist() == [[-1, 0]]


def test_a_model_that_looks_at_what_the_contract_lacks_is_refused(regression):
    require_features(regression, cards.contract())
    without = tuple(column for column in cards.COLUMNS if column.name != "tenure")
    for model in (regression, cards.card()):
        with pytest.raises(ArtifactRefused, match="tenure"):
            require_features(model, cards.contract(without))
