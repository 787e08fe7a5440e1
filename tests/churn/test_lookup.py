"""However a card is cut and its customers arrive, the kernel, plain Python and plain NumPy look the same cells up."""

from __future__ import annotations

from math import inf, nan, nextafter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.few import score_few
from churn.lookup import NO_CELL, Scored, ScoredOne, score, score_one
from churn.scorecard import Feature, Kind, Scorecard, Term, binned
from schemas.scores import REASONS_DOWN, REASONS_UP

# Few addends, so that there are ties, both zeros among them.
ADDENDS = st.sampled_from([-0.7, -0.1, -0.0, 0.0, 0.1, 0.2, 0.7])
EXACT_WHOLES = st.integers(-(2**53), 2**53)
TYPES = {Kind.NUMBER: pa.float64(), Kind.WHOLE: pa.int64(), Kind.YES_NO: pa.bool_(), Kind.CATEGORY: pa.string()}
CATEGORIES = ["", "P1", "P2", "plan ü"]


@st.composite
def features(draw: st.DrawFn, name: str) -> Feature:
    kind = draw(st.sampled_from(Kind))
    if kind is Kind.CATEGORY:
        return Feature(name, kind, name, categories=tuple(draw(st.lists(st.sampled_from(CATEGORIES), unique=True))))
    numbers = {Kind.YES_NO: st.just(0.5), Kind.WHOLE: EXACT_WHOLES.map(float)}
    ordinary = st.floats(-10.0, 10.0) | st.floats(allow_nan=False, allow_infinity=False)
    cuts = draw(st.lists(numbers.get(kind, ordinary), max_size=12))
    return Feature(name, kind, name, cuts=np.unique(np.array(cuts, dtype=np.float64)))


@st.composite
def terms(draw: st.DrawFn, of: tuple[Feature, ...]) -> Term:
    places = draw(st.lists(st.integers(0, len(of) - 1), min_size=1, max_size=2))
    shape = [draw(st.integers(1, 5)) for _ in places]
    bins = [
        draw(st.lists(st.integers(0, size - 1), min_size=of[place].bins, max_size=of[place].bins))
        for place, size in zip(places, shape, strict=True)
    ]
    addends = draw(st.lists(ADDENDS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return Term(tuple(places), tuple(map(np.array, bins)), np.array(addends).reshape(shape))


@st.composite
def cards(draw: st.DrawFn) -> Scorecard:
    of = tuple(draw(features(f"feature {place}")) for place in range(draw(st.integers(1, 3))))
    return Scorecard(draw(st.floats(-5.0, 5.0)), of, tuple(draw(st.lists(terms(of), max_size=7))), 0.1)


@st.composite
def columns(draw: st.DrawFn, feature: Feature, rows: int) -> pa.ChunkedArray:
    """In one chunk or two, neither at the start of its memory, and a category's texts or a dictionary's codes."""
    kind = TYPES[feature.kind]
    strange = 3
    given = draw(st.lists(values(feature), min_size=rows + strange, max_size=rows + strange))
    whole = pa.array(given, kind)
    if feature.kind is Kind.CATEGORY and draw(st.booleans()):
        whole = whole.dictionary_encode(draw(st.sampled_from(["mask", "encode"])))
    ours, cut = whole[strange:], draw(st.integers(0, rows))
    return pa.chunked_array([ours[:cut], ours[cut:]] if draw(st.booleans()) else [ours], whole.type)


def values(feature: Feature) -> st.SearchStrategy[Any]:
    """What a column may hold, on and beside the feature's cuts most of all."""
    if feature.kind is Kind.CATEGORY:
        return st.none() | st.sampled_from([*CATEGORIES, "never seen"])
    if feature.kind is Kind.YES_NO:
        return st.none() | st.booleans()
    cuts = feature.cuts.tolist()
    if feature.kind is Kind.WHOLE:
        return st.none() | EXACT_WHOLES | st.sampled_from([0, *map(int, cuts)])
    beside = [near for cut in cuts for near in (nextafter(cut, -inf), cut, nextafter(cut, inf))]
    return st.none() | st.floats() | st.sampled_from([nan, inf, -inf, 0.0, *beside])


@st.composite
def cards_and_customers(draw: st.DrawFn) -> tuple[Scorecard, pa.Table]:
    card, rows = draw(cards()), draw(st.integers(0, 12))
    return card, pa.table({feature.name: draw(columns(feature, rows)) for feature in card.features})


def plainly_scored(card: Scorecard, rows: pa.Table) -> list[ScoredOne]:
    """A customer's cell in each term by NumPy's own indexing, and his reasons by a sort that keeps equals in order."""
    bins, scored = binned(card, rows), []
    for row in range(rows.num_rows):
        places = [tuple(axis[bins[f][row]] for f, axis in zip(t.features, t.bins, strict=True)) for t in card.terms]
        addends = [float(term.table[place]) for term, place in zip(card.terms, places, strict=True)]
        cells = [
            int(begin + np.ravel_multi_index(place, term.table.shape))
            for term, place, begin in zip(card.terms, places, card.first_cells, strict=False)
        ]
        log_odds = card.intercept
        for addend in addends:
            log_odds += addend
        order = range(len(cells))
        raising = [cells[t] for t in sorted(order, key=lambda t: -addends[t]) if addends[t] > 0]
        lowering = [cells[t] for t in sorted(order, key=lambda t: addends[t]) if addends[t] < 0]
        scored.append(ScoredOne(log_odds, tuple(raising[:REASONS_UP]), tuple(lowering[:REASONS_DOWN])))
    return scored


def with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """The row as a data frame gives it, in which NaN stands for what is missing."""
    return {name: nan if value is None else value for name, value in row.items()}


def one_by_one(scored: Scored) -> list[ScoredOne]:
    log_odds, raising, lowering = scored
    assert (np.diff(raising == NO_CELL, axis=0) >= 0).all(), "a gap before a weaker reason"
    return [
        ScoredOne(
            float(log_odds[row]),
            *(tuple(c.item() for c in ways[:, row] if c != NO_CELL) for ways in (raising, lowering)),
        )
        for row in range(len(log_odds))
    ]


@settings(deadline=None, max_examples=300)  # the first call compiles
@given(cards_and_customers())
def test_every_way_of_looking_up_gives_the_same_bits(card_and_rows):
    card, rows = card_and_rows
    expected = plainly_scored(card, rows)
    assert [score_one(card, row) for row in rows.to_pylist()] == expected
    assert [score_one(card, with_nan(row)) for row in rows.to_pylist()] == expected
    assert one_by_one(score(card, rows)) == expected
    assert one_by_one(score_few(card, rows.to_pylist())) == expected
