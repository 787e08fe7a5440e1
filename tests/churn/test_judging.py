"""Two models are compared on the same customers, draw by draw."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from churn.judging import COMPARED, Judged, compare
from churn.metrics import evaluate, probability
from churn.slices import calibration_points, figures_with_intervals, gains_points, slices_by_segment
from tests import cards

AS_OF = date(2026, 1, 1)


def judged(n: int = 4_000, seed: int = 3, weights: float = 1.0) -> Judged:
    """Customers of a small and a tiny segment, and the log-odds that they leave by."""
    dice = np.random.default_rng(seed)
    log_odds = dice.normal(-1.5, 1.0, n)
    labels = (dice.random(n) < probability(log_odds)).astype(np.int64)
    segments = np.where(np.arange(n) < 20, "tiny", np.where(np.arange(n) % 4 == 0, "prepaid", "postpaid"))
    rows = pa.table({"as_of": pa.repeat(pa.scalar(AS_OF), n), "segment": segments})
    return Judged(rows, labels, log_odds, np.where(labels == 1, 1.0, weights))


def noisy(rows: Judged, amount: float) -> np.ndarray:
    return rows.log_odds + np.random.default_rng(9).normal(0.0, amount, len(rows.labels))


def test_a_model_compared_with_itself_does_not_differ_at_all():
    rows = judged()
    whole = compare(rows, rows.log_odds, cards.contract()).whole
    for name in COMPARED:
        found = whole.differences[name]
        assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_better_model_is_better_in_every_figure_and_its_interval_says_so():
    rows = judged()
    differences = compare(rows, noisy(rows, 1.5), cards.contract()).whole.differences
    assert all(differences[name].low > 0.0 for name in ("empc", "auc", "profit_at_capacity"))
    assert differences["log_loss"].high < 0.0


def test_the_two_figures_are_those_of_each_model_alone():
    rows = judged()
    theirs = noisy(rows, 1.0)
    found = compare(rows, theirs, cards.contract()).whole.differences
    for name in COMPARED:
        assert found[name].challenger == pytest.approx(getattr(evaluate(rows.labels, rows.log_odds), name), abs=1e-12)
        assert found[name].champion == pytest.approx(getattr(evaluate(rows.labels, theirs), name), abs=1e-12)


def test_pairing_makes_the_interval_of_a_difference_narrower_than_those_of_the_figures():
    rows = judged()
    difference = compare(rows, noisy(rows, 0.2), cards.contract()).whole.differences["auc"]
    alone = figures_with_intervals(rows)["auc"]
    assert difference.high - difference.low < 0.5 * (alone.high - alone.low)


def test_segments_are_compared_where_they_have_churners_enough():
    comparison = compare(judged(), judged().log_odds, cards.contract())
    assert [part.name for part in comparison.segments] == ["postpaid", "prepaid"]
    assert sum(part.rows for part in comparison.segments) == 3_980


@pytest.mark.parametrize(
    ("learnt_until", "seen"), [(None, False), (date(2025, 12, 1), False), (AS_OF, True), (date(2026, 2, 1), True)]
)
def test_a_champion_that_learnt_from_the_test_is_told(learnt_until, seen):
    rows = judged(500)
    found = compare(rows, rows.log_odds, cards.contract(), champion_learnt_until=learnt_until)
    assert found.seen_by_champion is seen


def test_figures_are_of_the_base_that_sampled_stayers_stand_for():
    rows = judged(weights=4.0)
    stayers = len(rows.labels) - rows.labels.sum()
    assert figures_with_intervals(rows)["observed"].value == pytest.approx(
        rows.labels.sum() / (rows.labels.sum() + 4.0 * stayers)
    )


def test_a_segment_with_too_few_churners_is_counted_and_has_no_figures():
    slices = {part.name: part for part in slices_by_segment(judged(), cards.contract())}
    assert slices["tiny"].rows == 20
    assert slices["tiny"].figures == {}
    assert slices["prepaid"].figures["auc"].low < slices["prepaid"].figures["auc"].value


def test_calibration_points_rise_and_count_everybody():
    points = calibration_points(judged())
    assert len(points) == 10
    assert sum(point.rows for point in points) == 4_000
    assert all(one.predicted < other.predicted for one, other in pairwise(points))
    assert all(abs(point.predicted - point.observed) < 0.08 for point in points)


def test_gains_end_with_everybody_and_never_fall():
    points = gains_points(judged())
    assert [point.customers for point in points] == [pytest.approx(step / 20) for step in range(1, 21)]
    assert points[-1].churners == 1.0
    assert all(one.churners <= other.churners for one, other in pairwise(points))
    assert points[1].churners == pytest.approx(0.1 * evaluate(judged().labels, judged().log_odds).lift_10)
