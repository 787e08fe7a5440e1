from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.columns import Column, LogicalType, Role, Table, WhenInvalid
from schemas.contract import Contract
from schemas.messages import customer_model, example_of

COLUMNS = (
    Column("customer_id", LogicalType.STRING, "Key.", roles=(Role.KEY,), required=True),
    Column("visits", LogicalType.INTEGER, "Visits.", roles=(Role.FEATURE,), required=True, minimum=0, maximum=31),
    Column("bill", LogicalType.NUMBER, "Bill.", roles=(Role.VALUE,), required=True, minimum=0, unit="EUR a month"),
    Column("plan", LogicalType.STRING, "Plan.", roles=(Role.SEGMENT,), required=True, allowed=("P1", "P2")),
    Column(
        "pays_by",
        LogicalType.STRING,
        "How it pays.",
        roles=(Role.FEATURE,),
        allowed=("card",),
        when_invalid=WhenInvalid.UNKNOWN,
    ),
    Column("happy", LogicalType.BOOLEAN, "Mood.", roles=(Role.FEATURE,)),
    Column("since", LogicalType.DATE, "Since.", roles=(Role.FEATURE,)),
    Column("gender", LogicalType.STRING, "Gender.", roles=(Role.PROTECTED,), required=True),
    Column("left_us", LogicalType.INTEGER, "Left.", roles=(Role.LABEL,), required=True, minimum=0, maximum=1),
)
SHOP = Table("customers", "One row per customer of the shop.", COLUMNS)
Customer = customer_model(Contract("corner_shop", "1.0.0", "d1", "", (SHOP,), SHOP, flat=True))
SOUND = {"customer_id": "C1", "visits": 4, "bill": 29.85, "plan": "P1"}

REFUSED = [
    # field       given          why
    ("visits", True, "must be a number"),
    ("visits", "4", "must be a number"),
    ("visits", 4.5, "fractional part"),
    ("visits", 32, "less than or equal to 31"),
    ("visits", None, "valid integer"),
    ("bill", "29.85", "valid number"),
    ("bill", -1, "greater than or equal to 0"),
    ("bill", float("inf"), "finite number"),
    ("bill", float("nan"), "finite number"),
    ("plan", "P9", "'P1' or 'P2'"),
    ("customer_id", 7, "valid string"),
    ("customer_id", "", "at least 1 character"),
    ("happy", 1, "valid boolean"),
    ("since", 20260131, "must be text"),
    ("mood", "good", "Extra inputs"),
    ("left_us", 1, "Extra inputs"),
    ("gender", "female", "Extra inputs"),
]


@pytest.mark.parametrize(("field", "given", "why"), REFUSED)
def test_a_value_that_the_contract_forbids_is_refused_by_its_field(field, given, why):
    with pytest.raises(ValidationError) as refused:
        Customer.model_validate(SOUND | {field: given})
    (error,) = refused.value.errors()
    assert error["loc"] == (field,)
    assert why in error["msg"]


ACCEPTED = [
    ("visits", 4.0, 4),
    ("bill", 30, 30.0),
    ("pays_by", "shells", "shells"),
    ("pays_by", None, None),
    ("happy", True, True),
]


@pytest.mark.parametrize(("field", "given", "kept"), ACCEPTED)
def test_a_value_that_the_contract_allows_passes(field, given, kept):
    value = getattr(Customer.model_validate(SOUND | {field: given}), field)
    assert (value, type(value)) == (kept, type(kept))


def test_a_required_field_that_is_left_out_is_named():
    with pytest.raises(ValidationError, match="plan\n  Field required"):
        Customer.model_validate({name: value for name, value in SOUND.items() if name != "plan"})


def test_a_key_made_from_the_row_need_not_be_given():
    key = Column("customer_id", LogicalType.STRING, "Key.", roles=(Role.KEY,), required=True, derived=True)
    table = Table("customers", "", (key, *COLUMNS[1:4]))
    contract = Contract("shop", "1.0.0", "d1", "", (table,), table, flat=True, surrogate_key=True)
    message = customer_model(contract).model_validate({name: SOUND[name] for name in ("visits", "bill", "plan")})
    assert message.model_dump()["customer_id"] is None


def test_the_json_schema_carries_bounds_words_and_a_valid_example_for_each_field():
    schema = Customer.model_json_schema()
    assert schema["title"] == "CornerShopCustomer"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["visits"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 31,
        "title": "visits",
        "description": "Visits.",
        "examples": [12],
    }
    assert schema["properties"]["bill"]["description"] == "Bill. Unit: EUR a month."
    assert schema["properties"]["plan"]["enum"] == ["P1", "P2"]
    Customer.model_validate({name: field["examples"][0] for name, field in schema["properties"].items()})


def test_an_example_keeps_to_the_range():
    assert example_of(Column("share", LogicalType.NUMBER, "", minimum=0, maximum=1)) == 1
    assert example_of(Column("age", LogicalType.INTEGER, "", minimum=18)) == 18
