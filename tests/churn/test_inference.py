from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import RequestError, SourceMismatch
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


def of_many(name: str) -> pa.Table:
    """Seven thousand customers, of whom one in twenty left, and one column beside."""
    dice, many = np.random.default_rng(3), 7_000
    left = dice.random(many) < 0.05
    columns = {
        "final_fee": [float(dice.integers(5, 90)) if gone else None for gone in left],
        "churn_reason": [("price", "network", "moved")[dice.integers(3)] if gone else None for gone in left],
        "last_call": np.where(left, 50.0, 100.0 * dice.integers(0, 2, many)) + dice.normal(0.0, 5.0, many),
        "postcode": [f"D{dice.integers(3_000)}" for _ in left],
        "lines": dice.integers(1, 4, many),
    }
    return pa.table({name: columns[name], "left": left.astype(np.int64)})


@pytest.mark.parametrize("name", ["final_fee", "churn_reason", "last_call"])
def test_what_only_leavers_have_knows_the_future(name):
    draft = draft_contract(of_many(name), "many", label="left")
    assert draft.contract.training.leaks == (name,), "in the middle of its range, or as it is blank for all others"
    assert not draft.contract.features


@pytest.mark.parametrize("name", ["postcode", "lines"])
def test_a_column_that_means_nothing_is_no_suspect_however_many_values_it_has(name):
    draft = draft_contract(of_many(name), "many", label="left")
    assert name not in [suspect.column for suspect in draft.suspects]
    assert [feature.name for feature in draft.contract.features] == [name]


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


def with_slips(column: str, *slips: object) -> pa.Table:
    """The shop, ten times as large, with these values first in one of its columns."""
    shop = pa.concat_tables([SHOP] * 10)
    values = [*slips, *shop[column].to_pylist()[len(slips) :]]
    return shop.set_column(shop.column_names.index(column), column, pa.array(values))


@pytest.mark.parametrize(
    ("column", "slips", "suspect"),
    [
        (
            "Visits Made",
            ("n/a",),
            "is text, although 399 of 400 values are whole numbers: not 'n/a' (row 1 of the data)",
        ),
        ("Visits Made", ("1.5", "?"), "is text, although 399 of 400 values are numbers: not '?' (row 2 of the data)"),
        ("club", ("perhaps",), "is text, although 399 of 400 values are yes or no: not 'perhaps' (row 1 of the data)"),
        (
            "first visit",
            ("31.01.2026", "2026-02-30"),
            "is text, although 398 of 400 values are dates such as 2026-01-31: "
            "not '31.01.2026' (row 1 of the data), '2026-02-30' (row 2 of the data)",
        ),
        ("Visits Made", ("1,5",) * 300, "writes 300 of 400 numbers with a comma; write them with a point"),
    ],
)
def test_a_few_slips_in_a_column_are_named_and_it_is_not_learnt_from(column, slips, suspect):
    draft = draft_contract(with_slips(column, *slips), "shop", label="Gone")
    found = {one.column: one.finding for one in draft.suspects}
    name = column.lower().replace(" ", "_")
    assert found[name] == suspect
    assert name not in [feature.name for feature in draft.contract.features]


def test_a_text_with_many_words_is_none_that_nearly_is_a_number():
    draft = draft_contract(with_slips("pays by", *["7"] * 300), "shop", label="Gone")
    assert "pays_by" not in [suspect.column for suspect in draft.suspects]


@pytest.mark.parametrize(
    ("key", "finding"),
    [
        (None, "is the key and blank in 2 rows: row 1 of the data, row 7 of the data"),
        ("S3", "is the key and occurs more than once for 1 customers: 'S3' in row 1 of the data, row 4 of the data"),
    ],
)
def test_a_key_that_is_blank_or_there_twice_is_named_with_its_rows(key, finding):
    keys = [key, *SHOP["Shopper No"].to_pylist()[1:]]
    if key is None:
        keys[6] = " "
    shop = SHOP.set_column(0, "Shopper No", pa.array(keys))
    draft = draft_contract(shop, "shop", key="Shopper No", label="Gone")
    assert Suspect("shopper_no", finding, used=True) in draft.suspects
    assert draft.contract.key == "shopper_no"


def test_a_blank_label_is_a_note_and_one_that_is_no_label_is_refused_with_its_row():
    draft = draft_contract(with_slips("Gone", None), "shop", label="Gone")
    note = "is blank in 1 of 400 rows: scored, and not learnt from"
    assert Suspect("gone", note, used=True) in draft.suspects
    shop = SHOP.set_column(10, "Gone", pa.array(["maybe", *["no", "yes"] * 19, "no"]))
    told = r"column Gone: 1 of 40 values are not yes or no, such as 'maybe' \(row 1 of the data\)\n  Correct .* source"
    with pytest.raises(SourceMismatch, match=told) as caught:
        draft_contract(shop, "shop", label="Gone")
    assert "contract" not in str(caught.value)


def test_a_column_may_be_named_as_the_draft_names_it():
    draft = draft_contract(SHOP, "shop", key="shopper_no", label="gone", value="monthly_bill")
    assert draft == draft_contract(SHOP, "shop", key="Shopper No", label="Gone", value="monthlyBill")


def test_money_that_is_no_number_is_refused():
    bills = ["12,50", *["12.50"] * (ROWS - 1)]
    shop = SHOP.set_column(2, "monthlyBill", pa.array(bills))
    with pytest.raises(SourceMismatch, match="column monthlyBill: 1 of 40 values are not numbers, such as '12,50'"):
        draft_contract(shop, "shop", label="Gone", value="monthlyBill")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(RequestError, match="there is no column departed"):
        draft_contract(SHOP, "shop", label="departed")


@pytest.mark.parametrize("name", shipped_contracts())
def test_a_contract_that_is_written_and_read_again_is_the_same(name):
    contract = read_contract(name)
    again = read_contract_text(contract_text(contract))
    assert isinstance(again, Contract)
    assert replace(again, digest="", text="") == replace(contract, digest="", text="")
