"""Of a list that a challenger decided a share of, each decision names its model, and receipts are equal to the bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.errors import AuditFailed
from churn.evidence import Decided, Evidence, Issue
from churn.outreach import Terms
from churn.receipt import receipts
from churn.scorecard import Scorecard
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from churn.traffic import Traffic, with_challengers
from schemas.policy import ChallengerTraffic, Holdout
from store.rebuilding import CODED
from tests import cards
from tests.decisions import decided_by
from tests.policies import VOUCHER, small_policy

CUSTOMERS = cards.customers(300)
CHAMPION, CHALLENGER = "m" * 64, "n" * 64
BOLDER = replace(cards.card(), intercept=-1.0)
TRAFFIC = Traffic("t" * 64, ("all",), {"all": CHALLENGER})
POLICY = small_policy().model_copy(
    update={
        "actions": (VOUCHER,),
        "holdout": Holdout(),
        "challenger_traffic": ChallengerTraffic(share=0.3, unit="customer"),
    }
)


def scored(card: Scorecard, digest: str, rows: pa.Table) -> pa.Table:
    return score_rows(card, rows, Stamp(cards.AS_OF, cards.contract(), 1, digest))


def evidence(traffic: Traffic | None = TRAFFIC) -> Evidence:
    """What storage has of a night whose list was decided so."""
    draft = scored(cards.card(), CHAMPION, CUSTOMERS)
    edges = percentile_edges([draft["log_odds"].to_numpy()])
    terms = Terms(POLICY, "p" * 64, cards.AS_OF, traffic=traffic)
    return Evidence(
        base="tiny",
        known_at=datetime.combine(cards.AS_OF, time()),
        issue=Issue("run", 1),
        scores=with_percentile(draft, edges),
        edges=edges,
        rows=CUSTOMERS,
        contract=cards.contract(),
        model=cards.card(),
        decided=decided(draft, terms),
        outcomes={},
    )


def decided(scores: pa.Table, terms: Terms) -> Decided:
    dealt = terms.dealt(CUSTOMERS, cards.contract())
    if dealt:
        scores = with_challengers(scores, CUSTOMERS, dealt, lambda digest, rows: scored(BOLDER, digest, rows))
    return decided_by(terms, scores, {CHALLENGER: BOLDER} if terms.traffic else {})


def with_models(night: Evidence, models: dict[str, Scorecard | None]) -> Evidence:
    assert night.decided is not None
    return replace(night, decided=replace(night.decided, challengers=models))


def test_each_decision_names_its_arm_and_the_model_that_made_it() -> None:
    night = evidence()
    assert night.decided is not None
    statuses = night.decided.statuses
    arms = dict(zip(statuses["model_arm"].to_pylist(), statuses["model_digest"].to_pylist(), strict=True))
    assert arms == {"champion": CHAMPION, "challenger": CHALLENGER}
    challenged = pc.sum(pc.equal(statuses["model_arm"].cast(pa.string()), "challenger")).as_py()
    assert 60 < challenged < 120
    assert set(night.decided.teams["traffic_digest"].to_pylist()) == {"t" * 64}
    listed = night.decided.listed.select(["customer_id", "model_digest"]).to_pylist()
    of_all = dict(zip(statuses["customer_id"].to_pylist(), statuses["model_digest"].to_pylist(), strict=True))
    assert {row["customer_id"]: row["model_digest"] for row in listed}.items() <= of_all.items()


def test_receipts_are_recomputed_by_the_model_that_decided() -> None:
    made = receipts(evidence())
    assert {one.decision.model_arm for one in made if one.decision} == {"champion", "challenger"}
    assert {one.score.model_digest for one in made} == {CHAMPION}, "the published scores stay the champion's"
    assert all("status.expected_value" in one.recomputed for one in made)
    bolder = [one for one in made if one.decision and one.decision.status == "listed"]
    assert {one.decision.model_digest for one in bolder if one.decision} >= {CHALLENGER}
    for one in bolder:
        assert one.decision is not None
        assert one.decision.offers[0].expected_value == one.decision.expected_value
        assert "list.probability" in one.recomputed


def test_a_decision_by_another_model_than_is_named_is_found_out() -> None:
    with pytest.raises(AuditFailed, match=r"status\.status of .* was published as"):
        receipts(with_models(evidence(), {CHALLENGER: replace(BOLDER, intercept=-1.1)}))


def test_where_the_challenger_is_gone_no_decision_is_claimed_to_be_recomputed() -> None:
    made = receipts(with_models(evidence(), {CHALLENGER: None}))
    assert {one.decision.offers for one in made if one.decision} == {()}
    assert not any(field.startswith(("status.", "list.")) for one in made for field in one.recomputed)


def test_where_nobody_challenges_the_list_is_that_of_a_policy_without_traffic() -> None:
    without = POLICY.model_copy(update={"challenger_traffic": ChallengerTraffic()})
    scores = scored(cards.card(), CHAMPION, CUSTOMERS)
    nobody, never = (decided(scores, Terms(one, "p" * 64, cards.AS_OF)) for one in (POLICY, without))
    assert nobody.listed.equals(never.listed)
    assert nobody.teams.equals(never.teams)
    assert nobody.statuses.equals(never.statuses)
    assert nobody.statuses["model_arm"].null_count == nobody.statuses.num_rows
    assert set(nobody.statuses["model_digest"].to_pylist()) == {CHAMPION}


def test_the_champions_customers_are_judged_as_if_nobody_challenged() -> None:
    challenged, alone = evidence(), evidence(None)
    assert challenged.decided is not None
    assert alone.decided is not None
    theirs = np.array(challenged.decided.statuses["model_arm"].to_pylist()) == "champion"
    worth, before = (
        one.statuses["expected_value"].filter(pa.array(theirs)) for one in (challenged.decided, alone.decided)
    )
    assert worth.equals(before)


@pytest.mark.parametrize("traffic", [TRAFFIC, None])
def test_the_texts_that_are_places_in_a_dictionary_are_those_that_a_rebuilt_file_has_so(
    traffic: Traffic | None,
) -> None:
    night = evidence(traffic)
    assert night.decided is not None
    schema = night.decided.statuses.schema
    assert {field.name for field in schema if pa.types.is_dictionary(field.type)} == set(CODED["outreach_status"])
