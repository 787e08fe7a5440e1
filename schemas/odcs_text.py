"""A Contract written as text in the Open Data Contract Standard, for people to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from schemas.columns import Column, LogicalType, Role, Table, WhenInvalid
from schemas.contract import Contract

API_VERSION = "v3.2.0"
WIDTH = 120


def contract_text(contract: Contract) -> str:
    """The YAML text from which the same contract is read again."""
    kinds = {table.name: "flat" if contract.flat else "source" for table in contract.sources}
    text: str = yaml.safe_dump(
        {
            "apiVersion": API_VERSION,
            "kind": "DataContract",
            "id": f"churn-{contract.name.replace('_', '-')}",
            "name": contract.name,
            "version": contract.version,
            "status": "draft",
            "description": {"purpose": contract.description},
            "customProperties": _contract_properties(contract),
            "schema": [_table(table, kinds.get(table.name, "customer")) for table in contract.tables],
        },
        sort_keys=False,
        allow_unicode=True,
        width=WIDTH,
    )
    return text


def _contract_properties(contract: Contract) -> list[dict[str, Any]]:
    training = {to_camel(name): value for name, value in asdict(contract.training).items() if value is not None}
    return _properties(
        {
            "horizonDays": contract.horizon_days,
            "valueMonths": contract.value_months,
            "surrogateKey": contract.surrogate_key,
            "training": training | {"leaks": list(contract.training.leaks)},
        }
    )


def _table(table: Table, kind: str) -> dict[str, Any]:
    return {
        "name": table.name,
        "description": table.description,
        "customProperties": _properties({"kind": kind}),
        "properties": [_column(column, table) for column in table.columns],
    }


def _column(column: Column, table: Table) -> dict[str, Any]:
    place = table.primary_key.index(column.name) + 1 if column.name in table.primary_key else None
    facts = {
        "name": column.name,
        "physicalName": column.physical_name,
        "businessName": column.title,
        "description": column.description,
        "logicalType": column.logical_type.value,
        "logicalTypeOptions": _stated({"minimum": _plain(column, "minimum"), "maximum": _plain(column, "maximum")}),
        "required": column.required,
        "unique": column.unique,
        "primaryKey": place is not None,
        "primaryKeyPosition": place,
        "enum": [_stated({"value": value, "label": label}) for value, label in _meanings(column)],
        "customProperties": _properties(_stated(_column_properties(column))),
    }
    return _stated(facts)


def _column_properties(column: Column) -> dict[str, Any]:
    invalid = column.when_invalid
    return {
        "role": [role.value for role in column.roles if role is not Role.IGNORED],
        "unit": column.unit,
        "actionable": column.actionable,
        "monotone": column.monotone or None,
        "whenInvalid": invalid.value if invalid is not WhenInvalid.QUARANTINE else None,
        "positive": column.positive,
        "negative": column.negative,
    }


def _meanings(column: Column) -> list[tuple[str, str | None]]:
    return list(zip_longest(column.allowed, column.labels))


def _plain(column: Column, bound: str) -> float | None:
    value: float | None = getattr(column, bound)
    whole = value is not None and column.logical_type is LogicalType.INTEGER
    return int(value) if whole and value is not None else value


def _stated(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Without what would say nothing: no value, no text, an empty list, a plain false. A bound of 0 says something."""
    return {name: value for name, value in facts.items() if value not in (None, "", [], {}) and value is not False}


def _properties(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]
