"""A compiled scorecard scores as the estimator it was compiled from, and stays exact whatever is folded into it."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest

from churn.lookup import NO_CELL, score, score_one
from churn.scorecard import Scorecard, Term, centred, compile_ebm, rescaled
from schemas.columns import Column
from tests import cards

FEATURES = cards.contract().features


@pytest.fixture(scope="module")
def ebm_and_rows() -> tuple[object, pa.Table]:
    from interpret.glassbox import ExplainableBoostingClassifier

    rows = cards.lessons(3_000)
    model = ExplainableBoostingClassifier(
        feature_names=[column.name for column in FEATURES],
        feature_types=["continuous", "continuous", "continuous", "nominal"],
        interactions=3,
        outer_bags=2,
        max_rounds=200,
        max_interaction_bins=8,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Missing values detected")
        model.fit(inputs(rows), rows["label"].to_numpy())
    return model, rows


def inputs(rows: pa.Table) -> dict[str, np.ndarray]:
    return {column.name: _input(rows, column) for column in FEATURES}


def _input(rows: pa.Table, column: Column) -> np.ndarray:
    values = rows[column.name]
    return (values if column.name == "plan" else values.cast(pa.float64())).to_numpy(zero_copy_only=False)


def test_a_compiled_card_has_the_estimators_log_odds_with_missing_and_unseen_values(ebm_and_rows):
    model, rows = ebm_and_rows
    compiled = compile_ebm(model, FEATURES, 0.2)
    strange = rows.slice(0, 4).drop_columns(["plan", "tenure", "dropped"])
    strange = strange.append_column("plan", pa.array(["never seen", None, "P1", ""]))
    strange = strange.append_column("tenure", pa.array([None, -5, 10**6, 0]))
    strange = strange.append_column("dropped", pa.array([np.inf, -np.inf, np.nan, None]))
    assert any(len(term.features) == 2 for term in compiled.terms)
    for table in (rows, strange):
        expected = model.decision_function(inputs(table))
        np.testing.assert_allclose(score(compiled, table).log_odds, expected, rtol=0, atol=1e-9)


def test_a_pair_is_cut_where_the_estimator_cuts_it_though_its_features_are_cut_finer(ebm_and_rows):
    model, _ = ebm_and_rows
    compiled = compile_ebm(model, FEATURES, 0.2)
    pair = next(term for term in compiled.terms if len(term.features) == 2)
    assert pair.table.size < np.prod([compiled.features[place].bins for place in pair.features])


def test_one_customer_in_plain_python_scores_to_the_same_bit_with_the_same_reasons():
    card, rows = cards.card(), cards.customers(2_000)
    scored = score(card, rows)
    for place, row in enumerate(rows.to_pylist()):
        one = score_one(card, row)
        assert one.log_odds == scored.log_odds[place]
        assert list(one.raising) == [cell for cell in scored.raising[:, place] if cell != NO_CELL]
        assert list(one.lowering) == [cell for cell in scored.lowering[:, place] if cell != NO_CELL]


@pytest.mark.parametrize("size", [1, 7, 512, 8_191])
def test_how_the_customers_are_split_changes_no_bit(size):
    card, rows = cards.card(), cards.customers(20_000)
    whole = score(card, rows)
    starts = range(0, rows.num_rows, size) if size > 100 else range(0, 50 * size, size)
    for start in starts:
        part = score(card, rows.slice(start, size))
        assert np.array_equal(part.log_odds, whole.log_odds[start : start + size])
        assert np.array_equal(part.raising, whole.raising[:, start : start + size])
        assert np.array_equal(part.lowering, whole.lowering[:, start : start + size])


def test_the_terms_and_the_intercept_add_up_to_the_log_odds_exactly():
    card, rows = cards.card(), cards.customers(200)
    for row, log_odds in zip(rows.to_pylist(), score(card, rows).log_odds, strict=True):
        total = card.intercept
        for term in card.terms:
            alone = Scorecard(0.0, card.features, (term,), 0.1)
            total += score_one(alone, row).log_odds
        assert total == log_odds


def test_reasons_are_the_strongest_terms_in_order_and_only_those_that_go_that_way():
    row = {"tenure": 2, "dropped": 0.2, "in_contract": False, "plan": "P1"}
    one = score_one(cards.card(), row)
    cells = cards.card().cells
    assert [round(cells[cell], 6) for cell in one.raising] == [0.8, 0.7, 0.5]
    assert [cells[cell] < 0 for cell in one.lowering] == [True]
    content = score_one(cards.card(), {"tenure": 20, "dropped": 0.0, "in_contract": True, "plan": "P1"})
    assert len(content.raising) == 1, "only the pair raises this customer's risk"


def test_dictionary_encoded_categories_score_as_plain_ones():
    rows = cards.customers(500)
    encoded = rows.set_column(rows.schema.get_field_index("plan"), "plan", rows["plan"].dictionary_encode())
    assert np.array_equal(score(cards.card(), encoded).log_odds, score(cards.card(), rows).log_odds)


def test_no_customers_have_no_scores():
    assert score(cards.card(), cards.customers(0)).log_odds.shape == (0,)


def test_a_calibrated_card_scores_the_line_of_the_raw_log_odds():
    rows = cards.customers(300)
    calibrated = rescaled(cards.card(), 0.8, -0.3)
    expected = 0.8 * score(cards.card(), rows).log_odds - 0.3
    np.testing.assert_allclose(score(calibrated, rows).log_odds, expected, atol=1e-12)


def test_a_centred_card_scores_the_same_and_its_average_customer_has_no_reason():
    rows = cards.customers(1_000)
    centre = centred(cards.card(), rows)
    np.testing.assert_allclose(score(centre, rows).log_odds, score(cards.card(), rows).log_odds, atol=1e-12)
    assert centre.intercept == pytest.approx(score(centre, rows).log_odds.mean())


@pytest.mark.parametrize(
    ("bins", "table"),
    [
        (np.array([0, 1, 2, 3, 9]), np.zeros(5)),
        (np.array([0, 1, 2, 3, -1]), np.zeros(5)),
        (np.array([0, 1, 2, 3, 4]), np.array([0.0, 1.0, np.nan, 0.0, 0.0])),
        (np.array([0, 1, 2, 3]), np.zeros(5)),
    ],
    ids=["beyond its table", "before its table", "not a number", "fewer bins than the feature has"],
)
def test_a_term_that_would_read_outside_its_table_cannot_be_made(bins, table):
    with pytest.raises(ValueError, match="does not fit"):
        Scorecard(0.0, cards.card().features, (Term((0,), (bins,), table),), 0.1)
