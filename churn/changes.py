"""What changed of a customer between two looks at him: his features, and what that moved in the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from churn.few import cells_of
from churn.reasons import words
from churn.scorecard import Scorecard
from schemas.contract import Contract


class ChangedFeature(NamedTuple):
    """A feature that is not what it was."""

    feature: str
    title: str
    before: Any
    after: Any


class MovedTerm(NamedTuple):
    """A term of the log-odds that adds another amount, and in words what the customer had and has there."""

    feature: str
    before: str
    after: str
    log_odds: float


def changed_features(contract: Contract, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ChangedFeature]:
    """The features that differ, in the contract's order; a value that is not known is None."""
    told = ((column, before.get(column.name), after.get(column.name)) for column in contract.features)
    return [ChangedFeature(column.name, column.words, then, now) for column, then, now in told if then != now]


def moved_terms(card: Scorecard, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[MovedTerm]:
    """The terms that moved, the one that moved most first; together they are the difference of the log-odds.

    The last digit of their sum may differ, since the log-odds themselves are sums.
    """
    cells, said = cells_of(card, [before, after]).tolist(), words(card)
    moved = [
        MovedTerm(name, said[then], said[now], float(card.cells[now] - card.cells[then]))
        for name, (then, now) in zip(card.term_names, cells, strict=True)
        if card.cells[then] != card.cells[now]
    ]
    return sorted(moved, key=lambda term: -abs(term.log_odds))
