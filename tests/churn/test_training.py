"""A training is honest about time, sampling, duplicates and leaks, and gives the same card from the same seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.errors import TrainingError
from churn.estimators import log_odds
from churn.evaluation import cross_validate
from churn.lookup import score
from churn.metrics import auc, probability
from churn.scorecard import centred
from churn.training import TrainingPlan, auc_alone, labels_of, segments_to_train, train
from schemas.columns import Column, LogicalType, Role
from schemas.contract import TrainingFacts
from schemas.manifest import FallbackEntry
from tests import cards

QUICK = TrainingPlan(interactions=2, outer_bags=2, max_rounds=150)
MONTHS = tuple(date(2025, month, 1) for month in (6, 7, 8, 9, 10))


def with_column(rows: pa.Table, name: str, values: object, kind: LogicalType = LogicalType.NUMBER):
    """The rows with one more feature, and a contract that knows it."""
    column = Column(name, kind, name, roles=(Role.FEATURE,))
    return rows.append_column(name, pa.array(values)), cards.contract((*cards.COLUMNS, column))


@pytest.fixture(scope="module")
def panel():
    rows = cards.lessons(1_500, MONTHS)
    return rows, train(rows, cards.contract(), QUICK)


def test_the_newest_month_is_the_test_and_what_was_fitted_had_matured_before_it_was_calibrated(panel):
    _, trained = panel
    assert trained.split == "out of time"
    assert trained.test_as_of == date(2025, 10, 1)
    assert trained.fit_as_ofs == MONTHS[:3], "September calibrates, October tests"
    assert trained.test.rows == 1_500


def test_an_embargo_keeps_the_months_before_the_test_out():
    rows = cards.lessons(1_500, MONTHS)
    trained = train(rows, cards.contract(), replace(QUICK, embargo_days=20))
    assert trained.fit_as_ofs == (date(2025, 6, 1),)


def test_a_single_snapshot_is_split_by_chance_with_as_many_churners_in_each_part():
    trained = train(cards.lessons(3_000), cards.contract(), QUICK)
    assert trained.split == "stratified hold-out"
    assert trained.rows == pytest.approx(2_100, abs=2)
    assert trained.test.observed == pytest.approx(trained.churners / trained.rows, abs=0.01)


def test_of_two_months_the_newest_alone_is_split_so_that_nobody_is_fitted_on_and_tested_on():
    trained = train(cards.lessons(3_000, MONTHS[-2:]), cards.contract(), QUICK)
    assert trained.split == "stratified hold-out"
    assert trained.fit_as_ofs == MONTHS[-1:]
    assert trained.rows == pytest.approx(2_100, abs=2)
    assert set(trained.judged.rows["as_of"].to_pylist()) == {MONTHS[-1]}


def test_an_embargo_for_which_the_dates_do_not_reach_is_not_forgotten():
    with pytest.raises(TrainingError, match="2 dates leave none to fit on before an embargo of 20 days"):
        train(cards.lessons(3_000, MONTHS[-2:]), cards.contract(), replace(QUICK, embargo_days=20))


def test_an_earlier_month_may_be_the_test_and_must_be_one_of_the_months():
    rows = cards.lessons(1_500, MONTHS)
    assert train(rows, cards.contract(), replace(QUICK, test_as_of=MONTHS[-2])).fit_as_ofs == MONTHS[:2]
    with pytest.raises(TrainingError, match="nobody is of 2025-10-02"):
        train(rows, cards.contract(), replace(QUICK, test_as_of=date(2025, 10, 2)))


def test_a_trained_card_ranks_churners_and_predicts_as_many_as_there_are(panel):
    rows, trained = panel
    newest = rows.filter(pa.array(np.isin(rows["as_of"].to_pylist(), MONTHS[-2:])))
    log_odds = score(trained.card, newest).log_odds
    labels = newest["label"].to_numpy()
    assert auc(labels, log_odds) > 0.70
    assert probability(log_odds).mean() == pytest.approx(labels.mean(), rel=0.01)
    assert trained.card.base_rate == pytest.approx(labels.mean(), rel=0.01)


def test_sampling_stayers_leaves_the_predicted_rate_where_it_was():
    rows = cards.lessons(4_000)
    sampled = train(rows, cards.contract(), replace(QUICK, sampled_rows=1_500))
    assert 0.0 < sampled.sampling_rate < 0.5
    log_odds = score(sampled.card, rows).log_odds
    assert probability(log_odds).mean() == pytest.approx(rows["label"].to_numpy().mean(), rel=0.05)


def test_stayers_sampled_by_whoever_gave_the_data_lower_the_odds_by_their_share():
    rows = cards.lessons(3_000)
    plain = train(rows, cards.contract(), QUICK)
    resampled = train(rows, cards.contract(training=TrainingFacts(sampling_rate=0.25)), QUICK)
    difference = score(resampled.card, rows).log_odds - score(plain.card, rows).log_odds
    np.testing.assert_allclose(difference, np.log(0.25), atol=1e-9)


def test_the_same_seed_gives_the_same_card_and_another_seed_another(panel):
    rows, trained = panel
    again, other = (train(rows, cards.contract(), replace(QUICK, seed=seed)) for seed in (42, 43))
    assert np.array_equal(score(again.card, rows).log_odds, score(trained.card, rows).log_odds)
    assert again.data_digest == trained.data_digest
    assert (again.figures, again.slices, again.gains) == (trained.figures, trained.slices, trained.gains)
    assert not np.array_equal(score(other.card, rows).log_odds, score(trained.card, rows).log_odds)


def test_exact_duplicates_that_the_contract_knows_of_are_left_out_and_counted():
    rows = cards.lessons(2_000)
    doubled = pa.concat_tables([rows, rows.slice(0, 300)])
    trained = train(doubled, cards.contract(training=TrainingFacts(duplicates=300)), QUICK)
    assert trained.duplicates == 300
    assert trained.data_digest == train(rows, cards.contract(), QUICK).data_digest


def test_more_duplicates_than_the_contract_knows_of_stop_the_training():
    rows = cards.lessons(2_000)
    doubled = pa.concat_tables([rows, rows.slice(0, 300)])
    with pytest.raises(TrainingError, match="300 rows are exact copies of others, and the contract knows of 299"):
        train(doubled, cards.contract(training=TrainingFacts(duplicates=299)), QUICK)


LEAKS = {
    "with noise": (LogicalType.NUMBER, lambda label: label + np.random.default_rng(0).normal(0.0, 0.2, len(label))),
    "turned round": (LogicalType.NUMBER, lambda label: -1.0 * label),
    "in the middle of its range": (
        LogicalType.NUMBER,
        lambda label: np.where(label, 0.01, 1.0) * np.random.default_rng(0).normal(0.0, 1.0, len(label)),
    ),
    "by being missing": (LogicalType.NUMBER, lambda label: pa.array([None if one else 1.0 for one in label])),
    "in words": (LogicalType.STRING, lambda label: ["closed" if one else None for one in label]),
}


@pytest.mark.parametrize(("kind", "leak"), LEAKS.values(), ids=LEAKS)
def test_a_column_that_knows_the_future_stops_the_training_by_its_name(kind, leak):
    rows = cards.lessons(1_000)
    leaking, contract = with_column(rows, "closing_letter", leak(rows["label"].to_numpy()), kind)
    with pytest.raises(TrainingError, match="closing_letter: alone it tells churners apart with an AUC of"):
        train(leaking, contract, QUICK)


@pytest.mark.parametrize("levels", [20, 2_000, 20_000])
def test_many_categories_that_mean_nothing_are_no_leak(levels):
    dice = np.random.default_rng(1)
    labels = (dice.random(20_000) < 0.02).astype(np.int64)
    rows = pa.table({"shop": dice.integers(0, levels, len(labels)).astype(str)})
    noise = auc_alone(rows, Column("shop", LogicalType.STRING, "shop"), labels)
    assert noise == pytest.approx(0.5, abs=0.05)


def test_a_constant_column_is_left_out_by_name():
    rows, contract = with_column(cards.lessons(2_000), "country", ["GB"] * 2_000, LogicalType.STRING)
    trained = train(rows, contract, QUICK)
    assert trained.constants == ("country",)
    assert "country" not in [feature.name for feature in trained.card.features]


def test_too_few_churners_are_refused_with_their_number():
    with pytest.raises(TrainingError, match=r"\d+ churners and \d+ stayers to fit on, at least 30"):
        train(cards.lessons(60), cards.contract(), QUICK)


def test_a_row_without_a_label_is_refused():
    rows = cards.lessons(500).drop_columns(["label"])
    unlabelled = rows.append_column("label", pa.array([None, *[0] * 499], pa.int64()))
    with pytest.raises(TrainingError, match="1 rows have no label"):
        train(unlabelled, cards.contract(), QUICK)


def test_a_card_that_ranks_the_held_out_months_the_wrong_way_round_is_refused():
    rows = cards.lessons(1_500, MONTHS)
    turned = np.isin(rows["as_of"].to_pylist(), MONTHS[-2:])
    labels = np.where(turned, 1 - rows["label"].to_numpy(), rows["label"].to_numpy())
    with pytest.raises(TrainingError, match="higher scores do not mean more churners"):
        train(rows.drop_columns(["label"]).append_column("label", pa.array(labels)), cards.contract(), QUICK)


def test_a_monotone_column_only_ever_raises_the_risk():
    columns = tuple(replace(column, monotone=1) if column.name == "dropped" else column for column in cards.COLUMNS)
    trained = train(cards.lessons(2_000), cards.contract(columns), replace(QUICK, interactions=0))
    place = [feature.name for feature in trained.card.features].index("dropped")
    table = next(term.table for term in trained.card.terms if term.features == (place,))
    assert (np.diff(table[1:]) >= -1e-12).all()


def test_cross_validation_judges_every_customer_once_by_a_card_that_has_not_seen_him():
    rows = cards.lessons(2_000)
    evaluation = cross_validate(pa.concat_tables([rows, rows.slice(0, 50)]), cards.contract(), plan=QUICK)
    assert evaluation.rows == 2_000
    assert evaluation.churners == rows["label"].to_numpy().sum()
    assert 0.70 < evaluation.auc < 0.95
    assert evaluation.predicted == pytest.approx(evaluation.observed, rel=0.05)


def test_sampling_on_both_sides_still_predicts_the_true_base_rate():
    """Six of ten stayers reached us, of whom training samples again."""
    base = cards.lessons(12_000)
    labels = base["label"].to_numpy()
    kept = (labels == 1) | (np.random.default_rng(7).random(len(labels)) < 0.6)
    plan = replace(QUICK, sampled_rows=3_000)
    trained = train(base.filter(pa.array(kept)), cards.contract(training=TrainingFacts(sampling_rate=0.6)), plan)
    assert trained.source_sampling_rate == 0.6
    assert trained.sampling_rate < 0.8
    assert probability(score(trained.card, base).log_odds).mean() == pytest.approx(labels.mean(), rel=0.05)
    assert trained.test.predicted == pytest.approx(trained.test.observed, rel=0.15)
    assert trained.test.observed == pytest.approx(labels.mean(), rel=0.05)


def test_what_a_customer_is_compared_with_is_the_base_and_not_the_sample_of_it():
    """One of five stayers reached us: rate, centre and reference are as if all had."""
    base = cards.lessons(30_000)
    labels = labels_of(base)
    kept = pa.array((labels == 1) | (np.random.default_rng(7).random(len(labels)) < 0.2))
    plan = replace(QUICK, interactions=0)
    trained = train(base.filter(kept), cards.contract(training=TrainingFacts(sampling_rate=0.2)), plan)
    assert trained.model.base_rate == pytest.approx(labels.mean(), abs=0.03), "of the sample, more than half left"
    bound = (
        base["in_contract"].is_null().to_numpy(),
        *(pc.fill_null(pc.equal(base["in_contract"], state), False).to_numpy() for state in (False, True)),
    )
    np.testing.assert_allclose(trained.reference["in_contract"], [part.mean() for part in bound], atol=0.03)
    whole = centred(trained.card, base)
    assert whole.intercept == pytest.approx(trained.card.intercept, abs=0.06)


def test_a_bin_that_everybody_is_in_has_all_of_them_and_not_a_rounding_more():
    """A share above 1 is no share to the manifest, and ended a training that was done."""
    rows, contract = with_column(cards.lessons(3_000), "nearly_constant", (np.arange(3_000) < 2).astype(np.float64))
    sampled = replace(contract, training=TrainingFacts(sampling_rate=0.3))
    trained = train(rows, sampled, replace(QUICK, interactions=0))
    assert max(max(shares) for shares in trained.reference.values()) == 1.0


def test_the_column_that_ranks_best_alone_is_kept_with_its_auc(panel):
    rows, trained = panel
    fitted = rows.filter(pa.array(np.isin(rows["as_of"].to_pylist(), MONTHS[:3])))
    name, alone = trained.strongest_alone
    columns = {column.name: column for column in cards.contract().features}
    areas = {key: auc_alone(fitted, column, labels_of(fitted)) for key, column in columns.items()}
    assert alone == areas[name] == max(areas.values())


def test_the_figures_have_intervals_and_parts_by_month_and_by_segment(panel):
    _, trained = panel
    assert trained.figures["auc"].value == trained.test.auc
    assert trained.figures["auc"].low < trained.test.auc < trained.figures["auc"].high
    assert [(part.by, part.name) for part in trained.slices] == [
        ("month", "2025-09-01"),
        ("month", "2025-10-01"),
        ("segment", "postpaid"),
        ("segment", "prepaid"),
    ]
    assert trained.slices[1].figures == trained.figures
    assert (len(trained.calibration_points), len(trained.gains)) == (10, 20)


def test_what_was_judged_are_the_test_rows_by_a_twin_that_has_not_seen_them(panel):
    rows, trained = panel
    october = rows.filter(pa.array(np.isin(rows["as_of"].to_pylist(), MONTHS[-1:])))
    assert trained.judged.rows.equals(october)
    assert trained.judged.as_of == MONTHS[-1]
    turned = np.where(np.isin(rows["as_of"].to_pylist(), MONTHS[-1:]), np.roll(labels_of(rows), 1), labels_of(rows))
    shuffled = rows.drop_columns(["label"]).append_column("label", pa.array(turned))
    again = train(shuffled, cards.contract(), replace(QUICK))
    assert np.array_equal(again.judged.log_odds, trained.judged.log_odds), "other outcomes in October, same log-odds"
    assert not np.array_equal(again.judged.labels, trained.judged.labels)


def test_a_model_of_a_segment_learns_from_that_segment_alone():
    rows = cards.lessons(3_000, MONTHS)
    trained = train(rows, cards.contract(), replace(QUICK, segment="postpaid"))
    assert trained.segment == "postpaid"
    assert trained.judged.rows["segment"].unique().to_pylist() == ["postpaid"]
    postpaid = rows.filter(pc.equal(rows["segment"], "postpaid"))
    assert trained.data_digest == train(postpaid, cards.contract(), QUICK).data_digest


def test_a_segment_that_nobody_is_in_is_refused():
    with pytest.raises(TrainingError, match="no customer is of the segment 'business'"):
        train(cards.lessons(500), cards.contract(), replace(QUICK, segment="business"))


def test_a_segment_with_too_few_churners_is_named_with_how_many_it_has_and_needs():
    rows = cards.lessons(1_500, MONTHS)
    segments, fallbacks = segments_to_train(rows, cards.contract(), QUICK)
    fitted = rows.filter(pa.array(np.isin(rows["as_of"].to_pylist(), MONTHS[:3])))
    assert (segments, fallbacks) == (("postpaid", "prepaid"), ())
    few = rows.filter(pc.or_(pc.equal(rows["segment"], "postpaid"), pc.less(rows["tenure"], 2)))
    segments, fallbacks = segments_to_train(few, cards.contract(), QUICK)
    left = fitted.filter(pc.and_(pc.equal(fitted["segment"], "prepaid"), pc.less(fitted["tenure"], 2)))
    assert segments == ("postpaid",)
    assert fallbacks == (FallbackEntry(segment="prepaid", churners=int(labels_of(left).sum()), needed=200),)


def test_a_contract_without_segments_has_none_to_train():
    columns = tuple(column for column in cards.COLUMNS if column.name != "segment")
    assert segments_to_train(cards.lessons(500), cards.contract(columns), QUICK) == ((), ())


def test_an_embargo_is_kept_with_the_model():
    assert train(cards.lessons(1_500, MONTHS), cards.contract(), replace(QUICK, embargo_days=20)).embargo_days == 20


@pytest.mark.parametrize("kind", ["logistic_regression", "hist_gradient_boosting"])
def test_another_kind_of_model_is_calibrated_and_judged_like_a_scorecard(kind):
    rows = cards.lessons(2_500, MONTHS)
    trained = train(rows, cards.contract(training=TrainingFacts(sampling_rate=0.5)), replace(QUICK, kind=kind))
    assert trained.model.kind == trained.kind == kind
    assert trained.model.slope == trained.calibration.slope
    assert trained.model.shift == trained.calibration.shift
    assert trained.test.auc > 0.70
    newest = rows.filter(pa.array(np.isin(rows["as_of"].to_pylist(), MONTHS[-2:])))
    labels, predicted = labels_of(newest), probability(log_odds(trained.model, newest))
    of_base = np.average(predicted, weights=np.where(labels == 1, 1.0, 2.0))
    assert of_base == pytest.approx(trained.model.base_rate, rel=1e-9)
    churners = labels.sum()
    assert of_base == pytest.approx(churners / (2 * len(labels) - churners), rel=0.1), "each stayer stands for two"
    with pytest.raises(TypeError):
        _ = trained.card
