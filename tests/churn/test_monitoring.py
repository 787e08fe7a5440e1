"""A night is told in rows: every feature, every segment, and one decision, against the model and a month ago."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from churn.alarms import Alarm, Mute
from churn.drift_price import Part, Terms, worth_of
from churn.findings import Finding
from churn.lookup import score
from churn.monitoring import (
    Night,
    Numbers,
    PartFacts,
    Reasons,
    Watched,
    alarm_rows,
    bins_of,
    first_reasons,
    numbers_of,
    together,
    watch,
    with_alarms,
)
from churn.monitoring_scores import Before, Scores, is_open
from churn.scorecard import binned
from schemas.monitoring import AlarmKind, AlarmState
from schemas.policy import Action
from tests.cards import card, customers

AS_OF = date(2026, 2, 1)
CALL = Action(name="call", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="hello")
TERMS = Terms((CALL,), 50)
MATURED = {
    "feature": "all",
    "value": "all",
    "as_of": date(2026, 1, 1),
    "observed": 0.03,
    "predicted": 0.02,
    "observed_to_predicted": 1.5,
    "observed_to_predicted_low": 1.3,
    "observed_to_predicted_high": 1.7,
    "churners": 30.0,
    "squares": 30.0,
    "customers": 1_000.0,
    "auc": 0.7,
    "auc_before": 0.7,
    "diagnosis": "calibration",
}


def night(rows: pa.Table) -> Night:
    """A night that is just like the one that the model learnt from."""
    model, many = card(), rows.num_rows
    spread = zip(model.features, binned(model, rows), strict=True)
    reference = {each.name: (np.bincount(bins, minlength=each.bins) / many).tolist() for each, bins in spread}
    scores = Scores(
        customer_id=rows["customer_id"].combine_chunks(),
        segment=rows["segment"].combine_chunks(),
        log_odds=score(model, rows).log_odds,
        customer_value=rows["bill"].to_numpy() * 12.0,
        open=np.ones(many, np.bool_),
        keep=np.full((many, 1), CALL.keep_probability),
    )
    part = Part("all", model, reference, np.arange(many), bins_of(model, rows))
    facts = PartFacts(part, model, {each.name: numbers_of(each, rows[each.name]) for each in model.features})
    watched = Watched("tiny", AS_OF, "run")
    return Night(watched, scores, (facts,), TERMS, Reasons({"tenure": 1.0}, {"tenure": 0.5, "plan": 0.5}))


@pytest.fixture(scope="module")
def usual() -> Night:
    return night(customers(2_000))


def test_a_night_like_the_one_that_the_model_learnt_from_has_nothing_to_tell(usual: Night) -> None:
    found = watch(usual)
    assert found.features["psi"].to_pylist() == pytest.approx([0.0] * 4)
    assert found.features["forgone"].to_pylist() == pytest.approx([0.0] * 4)
    assert [one.kind for one in found.findings if one.size >= 1.0] == [AlarmKind.REASONS]
    assert found.features["first_reason"].to_pylist() == [1.0, 0.0, 0.0, 0.0]


def test_a_base_that_holds_itself_against_itself_has_the_same_list(usual: Night) -> None:
    [row] = watch(replace(usual, before=Before(date(2026, 1, 1), usual.scores))).decision.to_pylist()
    assert (row["overlap_before"], row["expected_profit"]) == (1.0, row["expected_profit_before"])
    assert (row["places"], row["open"], row["reasons_moved"]) == (50, 2_000, 0.5)


def test_estimates_go_by_the_latest_matured_night(usual: Night) -> None:
    found = watch(replace(usual, backtest=[MATURED]))
    everybody, *segments = found.scores.to_pylist()
    assert everybody["expected_rate"] == pytest.approx(1.5 * everybody["mean"])
    assert (everybody["matured_rate"], everybody["matured_as_of"]) == (0.03, date(2026, 1, 1))
    assert everybody["em_rate"] is not None
    assert [row["em_rate"] for row in segments] == [None, None], "they have no champion of their own"
    [calibration] = [one for one in found.findings if one.kind is AlarmKind.CALIBRATION]
    assert calibration.money is not None
    assert 0.0 <= calibration.money < 0.05 * found.decision["expected_profit"][0].as_py(), "its list is the best still"


def test_customers_without_a_segment_are_not_told_as_everybody(usual: Night) -> None:
    """They are scored by the champion of all, whose name stands for their segment."""
    few = np.arange(2_000) < 10
    segment = pa.array(np.where(few, "all", usual.scores.segment.to_numpy(zero_copy_only=False)).tolist())
    theirs = MATURED | {"feature": "segment", "observed": 0.5, "observed_to_predicted": 9.0, "customers": 10.0}
    found = watch(replace(usual, scores=replace(usual.scores, segment=segment), backtest=[MATURED, theirs]))
    customers = {row["segment"]: row["customers"] for row in found.scores.to_pylist()}
    assert customers["all"] == 2_000
    assert set(customers) == {"all", "postpaid", "prepaid"}
    assert found.scores["matured_rate"][0].as_py() == 0.03
    assert found.decision["observed_to_predicted"].to_pylist() == [1.5]


def test_customers_of_whom_nobody_may_be_contacted_have_no_list(usual: Night) -> None:
    closed = replace(usual.scores, open=np.zeros(2_000, np.bool_))
    [row] = watch(replace(usual, scores=closed)).decision.to_pylist()
    assert (row["expected_profit"], row["forgone_feature"]) == (0.0, None)


def test_who_rests_is_open_and_who_is_suppressed_is_not() -> None:
    status = pa.array(["listed", "cooling_down", "beyond_capacity", "no_consent"]).dictionary_encode()
    assert is_open(status).tolist() == [True, True, True, False]


def test_the_numbers_of_parts_are_those_of_all_together() -> None:
    nobody = Numbers(None, None, None)
    assert together([Numbers(1.0, 3.0, 2.0, 2), nobody, Numbers(0.0, 9.0, 5.0, 4)]) == Numbers(0.0, 9.0, 4.0, 6)
    assert together([nobody]) == nobody


def test_an_alarm_says_who_muted_it(usual: Night) -> None:
    finding = Finding(AlarmKind.DRIFT, "tenure", 3.0, 10.0, "it moved", "Look.")
    alarm = Alarm(finding, AlarmState.MUTED, None, Mute("tenure", AS_OF, "Ada"))
    [row] = alarm_rows([alarm], usual.watched, {}).to_pylist()
    assert (row["state"], row["muted_by"], row["muted_until"], row["subject"]) == ("muted", "Ada", AS_OF, "tenure")
    assert with_alarms(watch(usual).decision, 2)["alarms"].to_pylist() == [2]


def test_first_reasons_are_those_of_whom_the_best_list_would_have(usual: Night) -> None:
    terms = replace(TERMS, places=1)
    worth = worth_of(usual.scores.customers, terms)
    reason = np.full(2_000, "plan", object)
    reason[np.argmax(worth)] = "tenure"
    told = pa.chunked_array([pa.array(reason, pa.string())])
    assert first_reasons(usual.scores, told, terms) == {"tenure": 1.0}
    assert first_reasons(usual.scores, pa.chunked_array([pa.nulls(2_000, pa.string())]), terms) == {}
