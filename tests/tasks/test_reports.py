"""What a night's summary warns of: a champion that the gate refused, and a list that cannot name anybody."""

from __future__ import annotations

from datetime import datetime

from churn.contract import parse_contract
from store.contracts import read_contract
from store.registry import Event
from tasks.reports import WORTHLESS, objections_to, without_worth

REFUSAL = "the gate default refused version 1 by its rule calibration: the slope is .511, to be .8 to 1.25"


def change(segment: str, version: int, overridden: str | None = None) -> Event:
    when, why = datetime.fromisoformat("2026-01-01T04:00"), "the first model of this base"
    return Event(when, "telco", segment, "promotion", None, version, "a flow", why, overridden)


def test_a_champion_that_the_gate_refused_is_named_each_night() -> None:
    told = f"version 1 scores all by an override (the first model of this base): {REFUSAL}"
    assert objections_to([change("all", 1, REFUSAL), change("prepaid", 2)]) == (told,)


def test_an_objection_ends_with_the_champion_whom_it_was_about() -> None:
    assert objections_to([change("all", 1, REFUSAL), change("all", 2)]) == ()


def test_an_empty_list_is_explained_where_nothing_says_what_a_customer_is_worth() -> None:
    valued = read_contract("ibm_telco")
    worthless = parse_contract(valued.text.replace("[value, feature]", "feature"), where="tests")
    assert without_worth(worthless, 0) == (WORTHLESS,)
    assert without_worth(worthless, 1) == ()  # by a policy that names a column of its own
    assert without_worth(valued, 0) == ()
