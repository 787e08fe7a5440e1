"""A list by the estimated share of churners: contacts are worth otherwise, scores stay, and receipts are recomputed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import AuditFailed
from churn.evidence import Evidence
from churn.metrics import probability
from churn.prior import Prior
from churn.profit import expected_value
from churn.receipt import receipts
from churn.score_spread import odds_by_em
from tests import cards
from tests.churn.test_decided_by_challengers import CHAMPION, CUSTOMERS, decided, evidence, scored
from tests.policies import VOUCHER

TWICE = Prior({CHAMPION: 2.0}, "d" * 64)


def by(prior: Prior | None) -> Evidence:
    """What storage has of a night whose list was decided under it."""
    usual = evidence(None)
    assert usual.decided is not None
    assert usual.decided.terms is not None
    terms = replace(usual.decided.terms, prior=prior)
    return replace(usual, decided=decided(scored(cards.card(), CHAMPION, CUSTOMERS), terms))


def statuses(night: Evidence) -> pa.Table:
    assert night.decided is not None
    return night.decided.statuses


@pytest.mark.parametrize(
    ("chance", "odds", "corrected"),
    [(0.5, 2.0, 2 / 3), (0.02, 2.0, 0.04 / 1.02), (0.02, 0.5, 0.01 / 0.99), (0.02, 1.0, 0.02), (0.0, 9.0, 0.0)],
)
def test_the_odds_are_multiplied_and_not_the_chance(chance: float, odds: float, corrected: float) -> None:
    rows = pa.table({"probability": [chance, chance], "model_digest": [CHAMPION, "another"]})
    assert Prior({CHAMPION: odds}).corrected(rows)["probability"].to_pylist() == pytest.approx([corrected, chance])


def test_contacts_are_worth_what_they_would_be_if_as_many_leave() -> None:
    chance = np.asarray(by(None).scores["probability"])
    found, value = np.asarray(statuses(by(TWICE))["expected_value"]), np.asarray(CUSTOMERS["bill"]) * 12.0
    believed = 2.0 * chance / (1.0 + chance)
    known = np.isfinite(found)
    assert known.sum() > 100
    assert found[known] == pytest.approx(expected_value(believed, value, VOUCHER)[known])
    usual = np.asarray(statuses(by(None))["expected_value"])
    assert (found[known] > usual[known]).all(), "who is likelier to leave is worth more"


def test_the_list_still_tells_the_published_probability() -> None:
    night = by(TWICE)
    assert night.decided is not None
    listed, names = night.decided.listed, night.scores["customer_id"].to_pylist()
    told = dict(zip(names, night.scores["probability"].to_pylist(), strict=True))
    assert listed.num_rows == 10
    assert all(told[row["customer_id"]] == row["probability"] for row in listed.to_pylist())
    assert set(night.decided.teams["prior_digest"].to_pylist()) == {TWICE.digest}


def test_receipts_are_recomputed_under_the_prior_of_the_list() -> None:
    made = receipts(by(TWICE))
    assert all({"status.expected_value", "score.probability"} <= set(one.recomputed) for one in made)
    for one in made:
        assert one.decision is not None
        if one.decision.status == "listed":
            assert one.decision.offers[0].expected_value == one.decision.expected_value


@pytest.mark.parametrize("other", [None, Prior({CHAMPION: 2.1}, "d" * 64)])
def test_a_decision_under_another_prior_is_found_out(other: Prior | None) -> None:
    night = by(TWICE)
    assert night.decided is not None
    assert night.decided.terms is not None
    claimed = replace(night, decided=replace(night.decided, terms=replace(night.decided.terms, prior=other)))
    with pytest.raises(AuditFailed, match=r"status\.(status|expected_value) of .* was published as"):
        receipts(claimed)


def test_money_alone_is_recomputed_under_it_where_the_customers_are_gone() -> None:
    made = receipts(replace(by(TWICE), rows=None))
    assert all("status.expected_value" in one.recomputed for one in made)


def test_em_says_by_what_the_odds_rose_where_twice_as_many_of_the_same_kinds_leave() -> None:
    dice = np.random.default_rng(5)
    log_odds = -3.5 + 1.5 * dice.standard_normal(400_000)
    chance = probability(log_odds)
    left, rate = dice.random(len(log_odds)) < chance, float(chance.mean())
    shifted = np.concatenate([log_odds[left], log_odds])  # each of those who leave comes twice
    came = 2.0 * left.sum() / (len(log_odds) + left.sum())
    wanted = came / (1.0 - came) / (rate / (1.0 - rate))
    assert odds_by_em(shifted, rate) == pytest.approx(wanted, rel=0.05)
    assert odds_by_em(log_odds[:100], rate) == 1.0, "so few say nothing"


@pytest.mark.parametrize("moved", [-0.1, -0.02, 0.05, 0.1])
def test_scores_of_a_poor_model_that_moved_a_little_are_no_other_share_of_churners(moved: float) -> None:
    log_odds = -4.0 + 0.5 * np.random.default_rng(5).standard_normal(400_000)
    rate = float(probability(log_odds).mean())
    assert odds_by_em(log_odds + moved, rate) == 1.0
    assert odds_by_em(log_odds, rate) == pytest.approx(1.0, abs=0.05), "as many as it was calibrated to"
