"""The message that asks for one customer's score, derived from a contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NaiveDatetime, create_model

from schemas.columns import Column, LogicalType, Role, WhenInvalid
from schemas.contract import Contract
from schemas.moments import Day, written_as_day

ASKED = (Role.KEY, Role.SEGMENT, Role.FEATURE, Role.VALUE)
LARGEST_WHOLE = 2**53 - 1  # beyond it a JSON number is no longer exact
LONGEST_TEXT = 256
EXAMPLE_NUMBER = 12
EXAMPLE_KEY = "C00000001"


class CustomerMessage(BaseModel):
    """One customer as the caller sees it. What the contract does not know is refused, and so is a disguised number."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def customer_model(contract: Contract) -> type[CustomerMessage]:
    """The request model of a contract's customer row: its key, segment, features and value.

    Ranges and allowed values are refused as the night would quarantine them; where the contract says that an
    invalid value is unknown, any value of the type passes. A column that is not required may be left out or null,
    and so may a key that is made from the row.
    """
    fields: dict[str, Any] = {column.name: _field(column) for column in contract.customer.with_role(*ASKED)}
    name = "".join(part.capitalize() for part in contract.name.split("_"))
    return create_model(f"{name}Customer", __base__=CustomerMessage, __doc__=contract.customer.description, **fields)


def customer_schema(customer: type[CustomerMessage]) -> dict[str, Any]:
    """The JSON schema of a contract's customer row, with a whole customer as its example."""
    told = customer.model_json_schema()
    return {**told, "examples": [{name: part["examples"][0] for name, part in told["properties"].items()}]}


def changes_schema(customer: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of some of a customer's columns, at least one, from that of all of them."""
    told = {name: part for name, part in customer.items() if name not in ("required", "title", "description")}
    [example] = customer.get("examples", [{}])
    some = {"examples": [dict([list(example.items())[-1]])]} if example else {}
    words = {"title": "Changes", "description": "Columns of the customer, but for the key"}
    return {**told, **words, "minProperties": 1, **some}


def example_of(column: Column) -> bool | float | str:
    """A value that the column may have, for documentation."""
    if column.allowed:
        return column.allowed[0]
    match column.logical_type:
        case LogicalType.BOOLEAN:
            return False
        case LogicalType.INTEGER | LogicalType.NUMBER:
            return _within(EXAMPLE_NUMBER, column)
        case LogicalType.DATE:
            return "2026-01-31"
        case LogicalType.TIMESTAMP:
            return "2026-01-31T23:00:00"
        case LogicalType.STRING:
            return EXAMPLE_KEY if column.has(Role.KEY) else "text"


def _within(number: float, column: Column) -> float:
    low = number if column.minimum is None else max(number, column.minimum)
    held = low if column.maximum is None else min(low, column.maximum)
    return int(held) if column.logical_type is LogicalType.INTEGER else held


def _field(column: Column) -> tuple[Any, Any]:
    described = Field(
        title=column.words,
        description=f"{column.description} Unit: {column.unit}." if column.unit else column.description,
        examples=[example_of(column)],
    )
    if column.required and not column.derived:
        return Annotated[_type(column), described], ...
    return Annotated[_type(column) | None, described], None


def _type(column: Column) -> Any:
    match column.logical_type:
        case LogicalType.INTEGER:
            return _bounded(int, column, reach=LARGEST_WHOLE)
        case LogicalType.NUMBER:
            return _bounded(float, column, reach=None)
        case LogicalType.BOOLEAN:
            return Annotated[bool, Field(strict=True)]
        case LogicalType.DATE:
            return Day
        case LogicalType.TIMESTAMP:
            return Annotated[NaiveDatetime, BeforeValidator(written_as_day)]
        case LogicalType.STRING:
            return _text(column)


def _bounded(number: type, column: Column, *, reach: int | None) -> Any:
    """The bounds come before the validator, or they would not reach the JSON schema."""
    low, high = (None, None) if _takes_anything(column) else (column.minimum, column.maximum)
    smallest = low if low is not None or reach is None else -reach
    largest = high if high is not None or reach is None else reach
    bounds = Field(ge=smallest, le=largest, strict=number is float)
    if number is float:
        return Annotated[float, bounds]  # strictly: whole numbers too, but neither text nor true or false
    return Annotated[int, bounds, BeforeValidator(no_disguise)]  # 426.0 too, which strictly is none


def _text(column: Column) -> Any:
    if column.allowed and not _takes_anything(column):
        return Literal[column.allowed]
    return Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_TEXT)]


def _takes_anything(column: Column) -> bool:
    return column.when_invalid is WhenInvalid.UNKNOWN


def no_disguise(value: object) -> object:
    """426.0 is a whole number; true and "426" are not numbers at all, though Pydantic would take them for some."""
    if isinstance(value, bool | str | bytes):
        raise ValueError("must be a number, neither text nor true or false")
    return value
