"""What leaves the house of a list holds nothing to judge a customer by, and nothing that a spreadsheet would run."""

from __future__ import annotations

import pyarrow as pa
import pytest

from churn.errors import RequestError
from churn.handover import HANDED_OVER, disarmed, handed_over, rearmed
from schemas.outreach import OUTREACH
from store.policies import read_policy


def listed(**columns: list[object]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    every = {name: [name] * rows for name in OUTREACH.names} | {"rank": list(range(rows, 0, -1))}
    return pa.table(every | columns)


def test_only_what_a_dialler_needs_is_handed_over() -> None:
    kept_back = set(OUTREACH.names) - set(handed_over(listed(rank=[1])).column_names)
    assert {"probability", "customer_value", "expected_value", "keep_probability", "segment"} <= kept_back
    assert not [name for name in HANDED_OVER if name.startswith("reason")]
    assert set(HANDED_OVER) <= set(OUTREACH.names)


def test_the_best_comes_first_and_each_team_and_channel_gets_its_own() -> None:
    rows = listed(team=["north", "south", "north"], channel=["phone", "phone", "message"])
    assert handed_over(rows)["rank"].to_pylist() == [1, 2, 3]
    assert handed_over(rows, team="north")["rank"].to_pylist() == [1, 3]
    assert handed_over(rows, team="north", channel="phone")["rank"].to_pylist() == [3]


def test_a_name_that_nobody_knows_is_refused_and_a_team_without_customers_gets_an_empty_list() -> None:
    """Else a slip in a name would hand over nothing night after night."""
    rows, policy = listed(team=["north"], channel=["phone"]), read_policy("telco").policy
    for wrong in ({"team": "nroth"}, {"channel": "fax"}):
        with pytest.raises(RequestError, match="the list knows no"):
            handed_over(rows, **wrong, policy=policy)
    assert handed_over(rows, team=policy.teams[-1].name, channel="message", policy=policy).num_rows == 0


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+44 20", "-2", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", '=HYPERLINK("http://x","y")'],  # noqa: RUF001
)
def test_no_cell_is_a_formula_and_what_comes_back_is_the_cell(cell: str) -> None:
    rows = pa.table({"customer_id": [cell]})
    assert disarmed(rows)["customer_id"].to_pylist() == [f"'{cell}"]
    assert rearmed(disarmed(rows)["customer_id"]).to_pylist() == [cell]


@pytest.mark.parametrize("before", ["\u00a0", "\u200b", "\ufeff", "\x0b", "\u3000", " \u00ad ", "'", "''", "'\u200b"])
def test_what_hides_before_a_formula_does_not_arm_it(before: str) -> None:
    test_no_cell_is_a_formula_and_what_comes_back_is_the_cell(f"{before}=1+1")


@pytest.mark.parametrize("cell", ["C00000001", "O'Brien", "'tis", "", None, "a=b", "3-4"])
def test_an_ordinary_cell_stays_as_it_is(cell: str | None) -> None:
    column = pa.array([cell], pa.string())
    assert disarmed(pa.table({"name": column}))["name"].to_pylist() == [cell]
    assert disarmed(pa.table({"name": column.dictionary_encode()}))["name"].to_pylist() == [cell]
    assert rearmed(pa.chunked_array([column])).to_pylist() == [cell]
