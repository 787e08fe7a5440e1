"""A list that causes decided says what each customer meets, and its receipts come out equal to the bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import AuditFailed
from churn.evidence import Evidence
from churn.outreach import Terms
from churn.receipt import receipts
from schemas.policy import Cause, Condition, Policy
from schemas.receipt import Offer
from tests import cards
from tests.churn.test_decided_by_effects import CUSTOMERS, decided, evidence
from tests.policies import CALL, VOUCHER, small_policy

NEW = Cause(name="new", when=(Condition(column="tenure", below=6),), keeps=0.5, says="Welcome the customer.")
DEAR = Cause(name="dear", when=(Condition(column="plan", equals="P3"),), keeps=0.3)


def policy(*causes: Cause) -> Policy:
    """A call for who meets a cause, and a dear voucher for everybody."""
    call = CALL.model_copy(update={"answers": (), "causes": causes})
    return small_policy().model_copy(update={"actions": (call, VOUCHER)})


@cache
def night() -> Evidence:
    """What storage has of a night that causes decided."""
    return with_terms(policy(NEW, DEAR))


def with_terms(asked: Policy) -> Evidence:
    scored = evidence(None)
    return replace(scored, decided=decided(scored.scores, Terms(asked, "p" * 64, cards.AS_OF)))


def test_a_receipt_names_the_cause_and_what_it_keeps_and_none_where_none_is_met() -> None:
    for made, row in zip(receipts(night()), CUSTOMERS.to_pylist(), strict=True):
        call = offer_of(night_receipt=made.decision.offers if made.decision else ())
        new, dear = row["tenure"] is not None and row["tenure"] < 6, row["plan"] == "P3"
        cause = NEW if new else DEAR if dear else None
        assert (call.cause, call.keep_probability) == (cause and cause.name, cause and cause.keeps)
        assert call.answers == (cause is not None)


def offer_of(night_receipt: tuple[Offer, ...]) -> Offer:
    return next(offer for offer in night_receipt if offer.action == "call")


def test_the_list_is_reckoned_again_with_the_words_of_the_causes() -> None:
    listed = [one for one in receipts(night()) if one.decision and one.decision.status == "listed"]
    assert all(
        {"list.agent_says", "list.keep_probability", "status.expected_value"} <= set(one.recomputed) for one in listed
    )
    assert {"Welcome the customer.", CALL.says} <= {one.decision.agent_says for one in listed if one.decision}


@given(chosen=st.sets(st.integers(0, 299), min_size=1, max_size=12))
@settings(deadline=None)
def test_whoever_is_asked_for_meets_what_he_met_at_night_whoever_else_is(chosen: set[int]) -> None:
    whole, places = night(), sorted(chosen)
    assert whole.decided is not None
    assert whole.rows is not None
    theirs = replace(whole.decided, statuses=whole.decided.statuses.take(places))
    some = replace(whole, scores=whole.scores.take(places), rows=whole.rows.take(places), decided=theirs)
    assert all("status.expected_value" in made.recomputed for made in receipts(some))


def test_another_belief_than_the_one_that_decided_is_found_out() -> None:
    true = night()
    assert true.decided is not None
    other = Terms(policy(NEW.model_copy(update={"keeps": 0.4}), DEAR), "p" * 64, cards.AS_OF)
    with pytest.raises(AuditFailed, match=r"expected_value of C"):
        receipts(replace(true, decided=replace(true.decided, terms=other)))


def test_without_the_customers_nobody_knows_which_cause_was_met() -> None:
    made = receipts(replace(night(), rows=None))
    assert all(one.decision is not None and one.decision.offers == () for one in made)
    assert not any(
        name.startswith("list.") or name == "status.expected_value" for one in made for name in one.recomputed
    )
