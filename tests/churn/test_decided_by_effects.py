"""A list that measured effects decided says so, and its receipts come out equal to the bit, or say what is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import AuditFailed
from churn.evidence import Decided, Evidence, Issue
from churn.outreach import Terms
from churn.profit import expected_value
from churn.receipt import receipts
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from churn.uplift import Cards, Uplift
from schemas.policy import Holdout, Policy
from schemas.receipt import Receipt
from tests import cards
from tests.decisions import decided_by
from tests.policies import VOUCHER, small_policy

CUSTOMERS = cards.customers(300)


def driven_away(by: float) -> Uplift:
    """Effects that keep most customers, and drive those away who have been with the company for about a year."""
    tenure, *others = cards.card().terms
    harmed = replace(tenure, table=tenure.table + np.array([-1.0, -1.0, -1.0, by, -1.0]))
    return Uplift("u" * 64, {"voucher": Cards(replace(cards.card(), terms=(harmed, *others)), cards.card())})


UPLIFT = driven_away(2.0)


def policy() -> Policy:
    """A voucher for everybody, and nobody is held out."""
    cheap = VOUCHER.model_copy(update={"offer_cost": 0.5, "contact_cost": 0.1})
    return small_policy().model_copy(update={"actions": (cheap,), "holdout": Holdout()})


def evidence(uplift: Uplift | None) -> Evidence:
    """What storage has of a night whose list was decided with these effects."""
    stamp = Stamp(cards.AS_OF, cards.contract(), 1, "m" * 64)
    draft = score_rows(cards.card(), CUSTOMERS, stamp)
    edges = percentile_edges([draft["log_odds"].to_numpy()])
    scores = with_percentile(draft, edges)
    return Evidence(
        base="tiny",
        known_at=datetime.combine(cards.AS_OF, time()),
        issue=Issue("run", 1),
        scores=scores,
        edges=edges,
        rows=CUSTOMERS,
        contract=cards.contract(),
        model=cards.card(),
        decided=decided(scores, Terms(policy(), "p" * 64, cards.AS_OF, uplift=uplift)),
        outcomes={},
    )


def decided(scores: pa.Table, terms: Terms) -> Decided:
    rows = scores
    for name in terms.columns:
        rows = rows.append_column(name, CUSTOMERS[name])
    return decided_by(terms, rows)


def test_receipts_of_a_list_by_effects_are_recomputed_and_say_by_which() -> None:
    made = receipts(evidence(UPLIFT))
    listed = [one.decision for one in made if one.decision and one.decision.status == "listed"]
    assert len(listed) == small_policy().capacity
    assert {one.uplift_digest for one in listed} == {"u" * 64}
    assert all(one.offers[0].expected_value == one.expected_value for one in listed)
    assert {one.offers[0].keep_probability for one in listed} == {VOUCHER.keep_probability}
    spared = [one.decision for one in made if one.decision and "voucher" in driven(one)]
    assert len(spared) > 20
    assert {one.status for one in spared} == {"not_worth_it"}
    assert all((one.offers[0].expected_value or 0.0) < 0.0 for one in spared)
    assert {"status.expected_value", "list.keep_probability"} <= set(made[0].recomputed + listed_fields(made))


def driven(receipt: Receipt) -> list[str]:
    """The actions that would drive the customer away, as lots have told."""
    offers = receipt.decision.offers if receipt.decision else ()
    return [offer.action for offer in offers if (offer.keep_probability or 0.0) < 0.0]


@cache
def whole() -> Evidence:
    """The night that effects decided."""
    return evidence(UPLIFT)


@settings(deadline=None)  # the first of them also makes the night
@given(chosen=st.sets(st.integers(0, 299), min_size=1, max_size=12))
def test_whoever_is_asked_for_is_recomputed_to_the_bit_whoever_else_is(chosen: set[int]) -> None:
    """Effects are reckoned for a bucket at night, and for a few customers in a receipt."""
    night, place = whole(), pa.array(sorted(chosen))
    assert night.decided is not None
    assert night.rows is not None
    decided = replace(night.decided, statuses=night.decided.statuses.take(place))
    made = receipts(replace(night, scores=night.scores.take(place), rows=night.rows.take(place), decided=decided))
    assert [one.customer_id for one in made] == [f"C{number:06d}" for number in sorted(chosen)]
    assert all("status.expected_value" in one.recomputed for one in made)


def listed_fields(made: tuple[Receipt, ...]) -> tuple[str, ...]:
    return max((one.recomputed for one in made), key=len)


def test_whom_effects_leave_on_the_list_has_the_money_of_the_belief() -> None:
    listed = evidence(UPLIFT).decided.listed  # type: ignore[union-attr]
    risk, value = (listed[name].to_numpy() for name in ("probability", "customer_value"))
    money = expected_value(risk, value, policy().actions[0])
    np.testing.assert_array_equal(listed["expected_value"].to_numpy(), money)


def test_a_list_by_beliefs_names_no_effects() -> None:
    made = receipts(evidence(None))
    assert {one.decision.uplift_digest for one in made if one.decision} == {None}
    assert {offer.keep_probability for one in made if one.decision for offer in one.decision.offers} == {
        VOUCHER.keep_probability
    }


def test_other_effects_than_those_that_decided_are_found_out() -> None:
    true = evidence(UPLIFT)
    assert true.decided is not None
    assert true.decided.terms is not None
    false = replace(true.decided, terms=replace(true.decided.terms, uplift=driven_away(2.1)))
    with pytest.raises(AuditFailed, match=r"status\.expected_value of .* was published as"):
        receipts(replace(true, decided=false))


def test_without_the_customers_rows_no_money_is_claimed() -> None:
    made = receipts(replace(evidence(UPLIFT), rows=None))
    assert {one.decision.offers for one in made if one.decision} == {()}
    assert not any(field.startswith(("status.", "list.")) for field in listed_fields(made))
