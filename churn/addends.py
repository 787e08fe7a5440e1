"""Every term of customers' log-odds, in words and numbers: what a receipt adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churn.estimators import Estimator, contributions, inputs_of
from churn.reasons import value_words, words
from churn.scorecard import Floats, Ints, Scorecard, Term, binned


@dataclass(frozen=True, slots=True, eq=False)
class Addends:
    """The terms of n customers: their names [terms], what each customer has there in words and in log-odds [terms, n].

    `intercept` [n] is the same for all customers of a scorecard. Where the addends are `exact`, the intercept and they
    add up to the log-odds to the bit, one after another in this order; else but for rounding.
    """

    names: Sequence[str]
    words: Sequence[Sequence[str]]
    log_odds: Floats
    intercept: Floats
    exact: bool

    @property
    def total(self) -> Floats:
        """The log-odds that they add up to. Shape (n,)."""
        total = self.intercept.copy()
        for addend in self.log_odds:  # not sum(), which adds in another order
            total += addend
        return total


def addends_of(model: Scorecard | Estimator, rows: pa.Table, log_odds: Floats) -> Addends:
    """Every term of every row; `log_odds` are the rows' own, from which an estimator's one constant is told."""
    return _of_card(model, rows) if isinstance(model, Scorecard) else _of_estimator(model, rows, log_odds)


def _of_card(card: Scorecard, rows: pa.Table) -> Addends:
    bins, texts = binned(card, rows), words(card)
    begins = card.first_cells[:-1].tolist()
    cells = np.array([_cells(term, begin, bins) for term, begin in zip(card.terms, begins, strict=True)], np.int64)
    cells = cells.reshape(len(card.terms), rows.num_rows)
    told = [[texts[cell] for cell in of_term] for of_term in cells.tolist()]
    return Addends(card.term_names, told, card.cells[cells], np.full(rows.num_rows, card.intercept), exact=True)


def _cells(term: Term, begin: int, bins: Sequence[Ints]) -> Ints:
    first, second = term.parts(begin)
    one = first[bins[term.features[0]]]
    return one if len(term.features) == 1 else one + second[bins[term.features[1]]]


def _of_estimator(estimator: Estimator, rows: pa.Table, log_odds: Floats) -> Addends:
    addends, values = contributions(estimator, rows), inputs_of(rows, estimator.inputs)
    told = [
        [value_words(feature, value) for value in of_input]
        for feature, of_input in zip(estimator.inputs, values.T.tolist(), strict=True)
    ]
    names = [feature.name for feature in estimator.inputs]
    return Addends(names, told, addends, log_odds - addends.sum(axis=0), exact=False)
