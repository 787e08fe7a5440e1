"""What came of the called teaches nothing of risk; those whom a lot held out stand for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from churn.labels import ACTION, ARM, POLICY, lot_weights, treated, with_treatment
from churn.metrics import probability
from churn.scorecard import Feature, Kind, Scorecard, Term
from churn.training import TrainingPlan, fit, labels_of, train
from churn.training.calibration import log_odds_of
from churn.training.estimators import fit_estimator
from churn.training.lessons import Lessons
from churn.training.treatment import shaped
from schemas.columns import Column, LogicalType, Role
from schemas.manifest import ModelKind
from tests import cards

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)


def members(*rows: tuple[date, str, bool, float | None]) -> pa.Table:
    as_ofs, customers, held_out, shares = zip(*rows, strict=True)
    return pa.table(
        {
            "as_of": pa.array(as_ofs, pa.date32()),
            "customer_id": customers,
            "held_out": held_out,
            "action": ["call"] * len(rows),
            "policy_digest": ["p" * 64] * len(rows),
            "share": pa.array(shares, pa.float64()),
        }
    )


def events(*rows: tuple[datetime, str, str]) -> pa.Table:
    moments, customers, names = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "occurred_at": pa.array(moments, pa.timestamp("us", "UTC")),
            "customer_id": pa.array(customers, pa.string()),
            "event": pa.array(names, pa.string()),
            "action": pa.array(["call"] * len(rows), pa.string()),
        }
    )


# a customer, what is known of him, and what the lessons of June say of him
WAVES = members(
    (date(2026, 5, 1), "long before", False, 0.1),
    (date(2026, 5, 2), "before", False, 0.1),
    (date(2026, 6, 1), "first day", False, 0.1),
    (date(2026, 6, 30), "last day", True, 0.1),
    (date(2026, 7, 1), "after", False, 0.1),
    (date(2026, 6, 5), "both", True, 0.1),
    (date(2026, 6, 20), "both", False, 0.1),
    (date(2026, 5, 1), "called late", False, 0.1),
)
CALLS = events(
    (datetime(2026, 6, 2, 9, tzinfo=UTC), "called late", "reached"),
    (datetime(2026, 6, 3, 9, tzinfo=UTC), "assigned only", "assigned"),
)
ARMS = [
    ("long before", None),
    ("before", "listed"),
    ("first day", "listed"),
    ("last day", "held_out"),
    ("after", None),
    ("both", "listed"),
    ("called late", "contacted"),
    ("assigned only", None),
    ("never", None),
]


@pytest.mark.parametrize(("customer", "arm"), ARMS)
def test_a_lesson_says_who_was_in_a_wave_or_contacted_within_its_horizon(customer: str, arm: str | None) -> None:
    rows = pa.table({"as_of": pa.array([JUNE], pa.date32()), "customer_id": [customer]})
    row = with_treatment(rows, "customer_id", treated(WAVES, CALLS, [JUNE], 30)).to_pylist()[0]
    assert row[ARM] == arm
    assert row[ACTION] == ("call" if arm else None)
    assert (row[POLICY] is not None) == (arm in ("listed", "held_out"))


def test_a_customer_is_told_of_once_a_date_and_of_each_date() -> None:
    found = treated(WAVES, CALLS, [JUNE, JULY], 30)
    named = list(zip(found["as_of"].to_pylist(), found["customer_id"].to_pylist(), strict=True))
    assert len(set(named)) == len(named)
    assert (JULY, "after") in named


def weighed(*customers: tuple[str | None, float | None]) -> list[float]:
    arms, shares = zip(*customers, strict=True)
    days = pa.array([JUNE] * len(arms), pa.date32())
    columns = {"as_of": days, ARM: pa.array(arms, pa.string()), "wave_share": pa.array(shares, pa.float64())}
    return [float(weight) for weight in lot_weights(pa.table(columns))]


def test_who_was_held_out_stands_for_the_listed_and_nobody_else_counts_otherwise() -> None:
    listed = [("listed", 0.1)] * 18
    assert weighed(*listed, ("held_out", 0.1), ("held_out", 0.1), (None, None)) == [0.0] * 18 + [10.0, 10.0, 1.0]


def test_a_lot_of_another_chance_counts_by_its_own() -> None:
    weights = weighed(*[("listed", 0.5)] * 2, *[("listed", 0.1)] * 20, *[("held_out", 0.5)] * 2, ("held_out", 0.1))
    assert weights[-3:] == pytest.approx([25 / 14 * 2, 25 / 14 * 2, 25 / 14 * 10])


def test_where_nobody_knows_the_chance_or_held_anybody_out_the_untouched_are_all_there_is() -> None:
    assert weighed(("listed", None), ("listed", None), ("held_out", None), (None, None)) == [0.0, 0.0, 3.0, 1.0]
    assert weighed(("listed", 0.0), (None, None)) == [0.0, 1.0]


MONTHS = tuple(date(2025, month, 1) for month in (6, 7, 8, 9, 10))
QUICK = TrainingPlan(interactions=0, outer_bags=2, max_rounds=300)
RISK = Column("risk", LogicalType.NUMBER, "what decides who leaves, and who is called", roles=(Role.FEATURE,))


def called(customers: int, seed: int = 3) -> tuple[pa.Table, np.ndarray]:
    """Months in which the riskiest tenth is called but for a tenth of it, and 30 % of the called are kept; the truth.

    So of the riskiest tenth .9 x .7 + .1 = .73 times as many leave as had left untouched.
    """
    dice, size = np.random.default_rng(seed), customers * len(MONTHS)
    log_odds = dice.normal(-2.4, 1.5, size)
    listed = (log_odds > np.quantile(log_odds, 0.9)) & True
    held_out = listed & (dice.random(size) < 0.1)
    left = dice.random(size) < probability(log_odds)
    saved = listed & ~held_out & (dice.random(size) < 0.3)
    rows = pa.table(
        {
            "customer_id": [f"C{place:07d}" for place in range(size)],
            "segment": ["prepaid"] * size,
            "risk": log_odds,
            "as_of": pa.array(np.repeat(np.array(MONTHS, "datetime64[D]"), customers)),
            "label": (left & ~saved).astype(np.int64),
            ARM: pa.array(np.select([held_out, listed], ["held_out", "listed"], ""), pa.string()),
            ACTION: ["call"] * size,
            POLICY: ["p" * 64] * size,
            "wave_share": [0.1] * size,
        }
    )
    arm = pa.compute.if_else(pa.compute.equal(rows[ARM], ""), None, rows[ARM])
    return rows.set_column(rows.column_names.index(ARM), ARM, arm), probability(log_odds)


def test_a_model_that_knows_who_was_called_sees_the_riskiest_as_they_are_and_a_naive_one_calls_them_safe() -> None:
    rows, truth = called(8_000)
    contract = cards.contract((*cards.COLUMNS[:2], RISK))
    knowing, naive = (
        train(lessons, contract, QUICK) for lessons in (rows, rows.drop_columns([ARM, ACTION, POLICY, "wave_share"]))
    )
    top = truth > np.quantile(truth, 0.9)
    told, fooled = (probability(log_odds_of(one.model, rows))[top].mean() for one in (knowing, naive))
    assert told == pytest.approx(truth[top].mean(), rel=0.1)
    assert fooled == pytest.approx(0.73 * truth[top].mean(), rel=0.1)
    treatment = knowing.treatment
    assert treatment is not None
    assert (treatment.listed + treatment.held_out, treatment.policies) == (4_000, ("p" * 64,))
    assert naive.treatment is None
    [held_out] = [part for part in knowing.slices if part.by == "arm"]
    assert held_out.rows == pytest.approx(80, abs=25)


@pytest.mark.parametrize("kind", ["scorecard", "hist_gradient_boosting", "random_forest", "logistic_regression"])
def test_every_kind_of_model_counts_a_row_as_often_as_it_weighs(kind: ModelKind) -> None:
    """So the level that a model learns is that of those for whom its rows stand."""
    rows, _ = called(2_000)
    columns, plan = (RISK,), replace(QUICK, kind=kind)
    labels = labels_of(rows)
    fits = fit if kind == "scorecard" else fit_estimator
    weights = np.where(labels == 1, 4.0, 1.0)
    alike, weighed_so = (fits(rows, labels, columns, plan, weights=each) for each in (None, weights))
    odds = [np.exp(log_odds_of(model, rows)).mean() for model in (alike, weighed_so)]
    assert odds[1] > 2.0 * odds[0]


def test_the_shapes_are_of_those_who_tell_the_newest_month_better() -> None:
    """Where those held out are few and weigh much, each of them alike is the less noisy."""
    learnt, calibrate = (
        Lessons(rows, labels_of(rows), np.where(np.arange(rows.num_rows) % 2, 1.0, 9.0))
        for rows in (called(400, seed)[0] for seed in (5, 6))
    )
    asked: list[bool] = []

    def remembered(lessons: Lessons) -> Scorecard:
        asked.append(bool(np.ptp(lessons.weights)))
        by_lot = replace(cards_of_risk(), intercept=-2.0)
        return by_lot if asked[-1] else replace(by_lot, terms=())

    assert shaped(learnt, calibrate, remembered).shapes == "by the lot", "the other knows nothing of risk"
    assert asked == [True, False]
    asked.clear()
    shaped(learnt.alike(), calibrate, remembered)
    assert asked == [False], "where all weigh alike, there is one way to learn"


def cards_of_risk() -> Scorecard:
    """A card that says of a customer's risk what is true of it, in three steps."""
    feature = Feature("risk", Kind.NUMBER, "risk", cuts=np.array([-3.0, -1.0]))
    return Scorecard(0.0, (feature,), (Term((0,), (np.arange(4),), np.array([0.0, -1.5, 0.0, 1.5])),), 0.1)
