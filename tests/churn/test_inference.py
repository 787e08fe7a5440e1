from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from churn.errors import RequestError
from churn.inference import Suspect, draft_contract
from schemas.contract import Contract
from schemas.contract_rules import broken_rules
from schemas.odcs import read_contract_text
from schemas.odcs_text import contract_text
from store.contracts import read_contract, shipped_contracts

ROWS = 40
SHOP = pa.table(
    {
        "Shopper No": [f"S{row}" for row in range(ROWS)],
        "Visits Made": [str(row % 5) for row in range(ROWS)],
        "monthlyBill": [row % 9 + 0.5 for row in range(ROWS)],
        "pays by": ["card" if row % 2 else "cash" for row in range(ROWS)],
        "club": ["Yes" if row % 5 else "No" for row in range(ROWS)],
        "first visit": ["2026-01-31"] * (ROWS - 1) + ["2026-02-01"],
        "country": ["DE"] * ROWS,
        "mail": [f"s{row}@shop" for row in range(ROWS)],
        "goodbye gift": ["none" if row % 4 else "mug" for row in range(ROWS)],
        "json": list(range(ROWS)),
        "Gone": [0 if row % 4 else 1 for row in range(ROWS)],
    }
)

DRAFTED = [
    # at the source   name            type        role                     values
    ("Shopper No", "shopper_no", "string", ["key"], ()),
    ("Visits Made", "visits_made", "integer", ["feature"], ()),
    ("monthlyBill", "monthly_bill", "number", ["value", "feature"], ()),
    ("pays by", "pays_by", "string", ["feature"], ("card", "cash")),
    ("club", "club", "boolean", ["feature"], ()),
    ("first visit", "first_visit", "date", ["ignored"], ()),
    ("country", "country", "string", ["ignored"], ("DE",)),
    ("mail", "mail", "string", ["ignored"], ()),
    ("goodbye gift", "goodbye_gift", "string", ["ignored"], ("mug", "none")),
    ("json", "its_json", "integer", ["feature"], ()),
    ("Gone", "gone", "integer", ["label"], ()),
]


def test_each_column_is_drafted_from_what_it_holds():
    table = draft_contract(SHOP, "shop", key="Shopper No", label="Gone", value="monthlyBill").contract.customer
    drafted = [(c.source_name, c.name, c.logical_type, list(c.roles), c.allowed) for c in table.columns]
    assert drafted == DRAFTED


def test_what_looks_suspicious_is_named_and_not_learnt_from():
    draft = draft_contract(SHOP, "shop", key="Shopper No", label="Gone")
    assert draft.suspects == (
        Suspect("first_visit", "is a moment; make it the time since or until"),
        Suspect("country", "has the same value everywhere"),
        Suspect("mail", "has 40 different texts and seems to name a row"),
        Suspect("goodbye_gift", "alone gives AUC 1.000: does it know the future?"),
    )
    assert draft.contract.training.leaks == ("goodbye_gift",)
    assert draft.contract.training.base_rate == 0.25


def test_without_a_key_one_is_made_and_duplicates_are_counted():
    twice = pa.concat_tables([SHOP.slice(0, 3), SHOP])
    draft = draft_contract(twice, "shop", label="Gone")
    assert draft.suspects[0] == Suspect("", "3 rows are exact duplicates of others")
    assert draft.contract.surrogate_key
    assert draft.contract.customer.columns[0].derived


def test_a_draft_is_a_sound_contract():
    text = contract_text(draft_contract(SHOP, "shop", key="Shopper No", label="Gone").contract)
    assert isinstance(read_contract_text(text), Contract)


@pytest.mark.parametrize(
    ("called", "name"),
    [("shop", "shop"), ("My File", "my_file"), ("../evil", "evil"), ("2026-shop", "its_2026_shop"), ("ü", "column")],
)
def test_a_draft_has_a_name_that_a_contract_may_have(called, name):
    draft = draft_contract(SHOP, called, key="Shopper No", label="Gone").contract
    assert draft.name == name
    assert not list(broken_rules(draft))


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(RequestError, match="there is no column gone"):
        draft_contract(SHOP, "shop", label="gone")


@pytest.mark.parametrize("name", shipped_contracts())
def test_a_contract_that_is_written_and_read_again_is_the_same(name):
    contract = read_contract(name)
    again = read_contract_text(contract_text(contract))
    assert isinstance(again, Contract)
    assert replace(again, digest="", text="") == replace(contract, digest="", text="")
