"""Each customer is scored by the champion of his segment, and the rows come back in their order."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.errors import ChurnError
from churn.scoring import Stamp, score_rows
from churn.segments import mean_rate, places_of, require_places, scored_by_segment
from schemas.columns import Role
from tests import cards

VERSIONS = {"all": 1, "prepaid": 2, "postpaid": 3}
WITHOUT_SEGMENT = cards.contract(tuple(column for column in cards.COLUMNS if Role.SEGMENT not in column.roles))


def rows_of(*segments: str | None) -> pa.Table:
    rows = cards.customers(len(segments))
    place = rows.column_names.index("segment")
    return rows.set_column(place, "segment", pa.array(segments, pa.string()))


def scores_of(segment: str, rows: pa.Table) -> pa.Table:
    return score_rows(cards.card(), rows, Stamp(cards.AS_OF, cards.contract(), VERSIONS[segment], segment))


def test_the_rows_come_back_in_their_order_with_the_scores_of_their_own_model() -> None:
    rows = cards.customers(1_000)
    scores = scored_by_segment(rows, cards.contract(), ("all", "prepaid"), scores_of)
    assert scores["customer_id"].to_pylist() == rows["customer_id"].to_pylist()
    prepaid = pc.equal(scores["segment"], "prepaid")
    assert pc.all(pc.equal(scores["model_version"], pc.if_else(prepaid, 2, 1))).as_py()
    same_model = scores_of("all", rows)
    told = [name for name in scores.column_names if not name.startswith("model_")]
    assert scores.select(told).to_pylist() == same_model.select(told).to_pylist()


@pytest.mark.parametrize(
    ("champions", "segments", "asked"),
    [
        (("all",), ["prepaid", "postpaid"], ["all"]),
        (("all", "prepaid"), ["prepaid", "prepaid"], ["prepaid"]),
        (("all", "prepaid"), ["postpaid", None, "hybrid"], ["all"]),
        (("all", "prepaid"), [], ["all"]),
    ],
)
def test_rows_of_one_champion_are_not_copied(champions, segments, asked) -> None:
    seen = []
    rows = rows_of(*segments)

    def score(segment: str, given: pa.Table) -> pa.Table:
        seen.append(segment)
        assert given is rows
        return given

    assert scored_by_segment(rows, cards.contract(), champions, score) is rows
    assert seen == asked


def test_segments_may_be_dictionary_encoded() -> None:
    rows = rows_of("prepaid", "postpaid", None)
    place = rows.column_names.index("segment")
    encoded = rows.set_column(place, "segment", rows["segment"].dictionary_encode())
    found = places_of(encoded, cards.contract(), {"prepaid"})
    assert {segment: theirs.tolist() for segment, theirs in found.items()} == {"prepaid": [0], "all": [1, 2]}


def test_a_contract_without_segments_has_the_champion_of_all() -> None:
    rows = rows_of("prepaid", "postpaid")
    assert list(places_of(rows, WITHOUT_SEGMENT, {"prepaid"})) == ["all"]


def test_the_rate_to_expect_weighs_each_model_by_its_customers() -> None:
    assert mean_rate({"a": 300, "b": 100}, {"a": 0.02, "b": 0.06}) == pytest.approx(0.03)


LISTED = replace(cards.COLUMNS[1], allowed=("prepaid", "postpaid"))
WITH_LISTED_SEGMENTS = cards.contract((cards.COLUMNS[0], LISTED, *cards.COLUMNS[2:]))


@pytest.mark.parametrize(
    ("learnt_from", "places", "refused"),
    [
        ("all", ["all", "prepaid"], None),
        ("prepaid", ["prepaid"], None),
        ("prepaid", ["prepaid", "postpaid"], "learnt from prepaid alone, and would score postpaid"),
        ("prepaid", ["all"], "would score all"),
        ("all", ["hybrid"], "there is no segment hybrid"),
    ],
)
def test_a_model_takes_the_places_of_whom_it_learnt_from(learnt_from, places, refused) -> None:
    told = pytest.raises(ChurnError, match=refused) if refused else nullcontext()
    with told:
        require_places(places, WITH_LISTED_SEGMENTS, learnt_from=learnt_from)


def test_a_contract_that_lists_no_segments_knows_them_all() -> None:
    require_places(["hybrid"], cards.contract(), learnt_from="all")
