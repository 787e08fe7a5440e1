"""What this project adds to the Open Data Contract Standard, under customProperties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.columns import Role, WhenInvalid


class Extras(BaseModel):
    """Properties by name; one that is not known here is refused, since nothing would act on it."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True, allow_inf_nan=False)


def _listed(roles: object) -> object:
    return [part.strip() for part in roles.split(",")] if isinstance(roles, str) else roles


class ColumnExtras(Extras):
    """Of a column: what it is for, and what the standard has no word for."""

    role: Annotated[tuple[Role, ...], BeforeValidator(_listed), Field(min_length=1)] = (Role.IGNORED,)
    unit: str = ""
    actionable: bool = Field(default=False, strict=True)
    monotone: Literal[-1, 0, 1] = 0
    when_invalid: WhenInvalid = WhenInvalid.QUARANTINE
    positive: str = Field(default="", strict=True)
    negative: str = Field(default="", strict=True)


class TableExtras(Extras):
    """Of a table: a source, the customer row that is built from the sources, or both at once."""

    kind: Literal["source", "customer", "flat"]


class TrainingExtras(Extras):
    """Of the training set: what TrainingFacts holds."""

    checksum: str = ""
    rows: int | None = Field(default=None, ge=1)
    base_rate: float | None = Field(default=None, gt=0, lt=1)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    duplicates: int | None = Field(default=None, ge=0)
    leaks: tuple[str, ...] = ()
    embargo_days: int = Field(default=0, ge=0, le=366, strict=True)


class ContractExtras(Extras):
    """Of the contract as a whole."""

    horizon_days: int = Field(default=30, ge=1, le=366)
    value_months: float = Field(default=12.0, gt=0)
    surrogate_key: bool = Field(default=False, strict=True)
    training: TrainingExtras = TrainingExtras()


class Bounds(Extras):
    """The type options that are understood; any other would be a rule that nobody checks."""

    minimum: float | None = Field(default=None, strict=True)
    maximum: float | None = Field(default=None, strict=True)


def custom_properties(element: Mapping[str, Any]) -> dict[str, Any]:
    """The custom properties of a contract, a table or a column, as a mapping."""
    return {entry.get("property"): entry.get("value") for entry in element.get("customProperties") or ()}


def column_extras(element: Mapping[str, Any]) -> ColumnExtras:
    """The custom properties of a column; ValidationError where one is wrong."""
    return ColumnExtras.model_validate(custom_properties(element))


def table_extras(element: Mapping[str, Any]) -> TableExtras:
    """The custom properties of a table; ValidationError where one is wrong."""
    return TableExtras.model_validate(custom_properties(element))


def contract_extras(element: Mapping[str, Any]) -> ContractExtras:
    """The custom properties of a contract; ValidationError where one is wrong."""
    return ContractExtras.model_validate(custom_properties(element))
