"""A receipt adds up to the bit, names what differs, and tells an agent only what he may know and can act on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.addends import addends_of
from churn.errors import AuditFailed
from churn.estimators import log_odds
from churn.evidence import Evidence, Issue
from churn.lookup import score
from churn.receipt import for_agent, receipts
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from schemas.columns import Column, Role
from schemas.receipt import Addend, Decision, Receipt, Score
from tests import cards, models

CUSTOMERS = cards.customers(300)


def evidence() -> Evidence:
    """What storage has of the small card's customers, where no list was decided."""
    stamp = Stamp(cards.AS_OF, cards.contract(), 1, "m" * 64)
    draft = score_rows(cards.card(), CUSTOMERS, stamp)
    edges = percentile_edges([draft["log_odds"].to_numpy()])
    return Evidence(
        base="tiny",
        known_at=datetime.combine(cards.AS_OF, time()),
        issue=Issue("run", 1),
        scores=with_percentile(draft, edges),
        edges=edges,
        rows=CUSTOMERS,
        contract=cards.contract(),
        model=cards.card(),
        decided=None,
        outcomes={},
    )


def test_a_scorecards_terms_add_up_to_the_bit() -> None:
    addends = addends_of(cards.card(), CUSTOMERS, np.empty(0))
    assert addends.names == cards.card().term_names
    assert addends.total.tobytes() == score(cards.card(), CUSTOMERS).log_odds.tobytes()


@pytest.mark.parametrize("kind", ["logistic_regression", "hist_gradient_boosting"])
def test_an_estimators_contributions_add_up_but_for_rounding(kind: str) -> None:
    model = models.estimator(kind).model
    published = log_odds(model, CUSTOMERS)  # type: ignore[arg-type]
    addends = addends_of(model, CUSTOMERS, published)
    np.testing.assert_allclose(addends.total, published, rtol=0, atol=1e-12)
    np.testing.assert_allclose(addends.intercept, addends.intercept[0], rtol=0, atol=1e-6)


def test_the_strongest_term_is_the_first_reason_in_the_same_words() -> None:
    published = evidence().scores.select(["reason_1_feature", "reason_1_value", "reason_1_log_odds"]).to_pylist()
    for row, made in zip(published, receipts(evidence()), strict=True):
        strongest = max(made.score.terms, key=lambda term: term.log_odds)
        if strongest.log_odds > 0.0:
            assert list(row.values()) == [strongest.feature, strongest.value, strongest.log_odds]


@pytest.mark.parametrize("name", ["probability", "log_odds", "customer_value", "reason_2_log_odds"])
def test_a_figure_that_differs_in_its_last_bit_is_named_with_both_values(name: str) -> None:
    true = evidence()
    values = true.scores[name].to_pylist()
    values[5] = float(np.nextafter(values[5], 1e9))
    place = true.scores.column_names.index(name)
    false = replace(true, scores=true.scores.set_column(place, name, pa.array(values)))
    with pytest.raises(AuditFailed, match=rf"score\.{name} of C000005 was published as .*, and is "):
        receipts(false)


FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=4)
TERMS = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True), st.floats(-2, 2)), max_size=8
)


@given(flags=FLAGS, terms=TERMS)
def test_an_agent_never_reads_of_what_is_protected_or_cannot_be_acted_on(
    flags: list[tuple[bool, bool]], terms: list[tuple[list[int], float]]
) -> None:
    columns = [_column(number, *flag) for number, flag in enumerate(flags)]
    contract = cards.contract((*cards.COLUMNS[:3], *columns))
    hidden = [f"trait{number}" for number, (actionable, protected) in enumerate(flags) if protected or not actionable]
    made = _receipt([_term(numbers, adds) for numbers, adds in terms])
    told = for_agent(made, contract)
    assert not any(name in told.model_dump_json() for name in hidden)
    assert len(told.reasons) <= 3
    known = {f"trait{number}" for number in range(4)} - set(hidden)
    strongest = max((adds for numbers, adds in terms if any(f"trait{one}" in known for one in numbers)), default=0.0)
    assert bool(told.reasons) == (strongest > 0.0)


@pytest.mark.parametrize(("status", "action"), [("listed", "call"), ("held_out", None)])
def test_an_agent_learns_of_an_action_only_for_who_is_on_the_list(status: str, action: str | None) -> None:
    told = for_agent(_receipt([], status), cards.contract())
    assert (told.action, told.agent_says) == (action, "Offer it." if action else None)


@cache
def ordinary() -> Receipt:
    """The receipt of the first customer."""
    return receipts(evidence())[0]


def _column(number: int, actionable: bool, protected: bool) -> Column:
    roles = (Role.FEATURE, Role.PROTECTED) if protected else (Role.FEATURE,)
    return replace(cards.COLUMNS[3], name=f"trait{number}", title=f"trait{number}", roles=roles, actionable=actionable)


def _term(numbers: list[int], adds: float) -> Addend:
    names = [f"trait{number}" for number in numbers]
    return Addend(feature=" & ".join(names), value=" and ".join(f"{name}: 3 months" for name in names), log_odds=adds)


def _receipt(terms: list[Addend], status: str = "listed") -> Receipt:
    decision = Decision.model_construct(status=status, action="call", channel="phone", agent_says="Offer it.")
    made = ordinary()
    plain: Score = made.score.model_copy(update={"terms": tuple(terms)})
    return made.model_copy(update={"score": plain, "decision": decision})
