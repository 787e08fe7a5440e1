"""A contract's text, in the Open Data Contract Standard, becomes a Contract or the problems that forbid it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from open_data_contract_standard.model import (
    CustomProperty,
    EnumValue,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)
from pydantic import BaseModel, ValidationError

from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract, TrainingFacts
from schemas.contract_rules import BrokenRule, broken_rules
from schemas.custom_properties import (
    Bounds,
    ColumnExtras,
    ContractExtras,
    Extras,
    TableExtras,
    column_extras,
    contract_extras,
    custom_properties,
    table_extras,
)
from schemas.document import Document, Path, Problem, read_document

Element = Mapping[str, Any]


def read_contract_text(text: str) -> Contract | tuple[Problem, ...]:
    """The contract that `text` describes, or every problem that was found, in the order of their lines."""
    document = read_document(text)
    if isinstance(document, tuple):
        return document
    problems = _against_the_standard(document) or _against_our_words(document)
    if problems:
        return tuple(sorted(problems))
    contract = _contract(document.values, text)
    return tuple(sorted(_placed(document, broken) for broken in broken_rules(contract))) or contract


def _against_the_standard(document: Document) -> tuple[Problem, ...]:
    if not isinstance(document.values, dict):
        return (Problem(1, "standard", "a contract is a mapping that begins with apiVersion and kind"),)
    try:
        OpenDataContractStandard.model_validate(document.values)
    except ValidationError as wrong:
        return tuple(_problems(document, (), "standard", wrong))
    return (*_heads(document), *_names(document), *_misspelt(document))


def _heads(document: Document) -> Iterator[Problem]:
    """The standard's schema requires these, its Pydantic model does not."""
    values = document.values
    for word in ("apiVersion", "kind", "id", "name", "version", "schema"):
        if not values.get(word):
            yield Problem(1, "standard", f"{word} is missing")
    if values.get("kind") not in (None, "DataContract"):
        yield Problem(document.line(("kind",)), "standard", f"kind is {values['kind']!r}, not 'DataContract'")
    if not str(values.get("apiVersion") or "v3.").startswith("v3."):
        message = f"apiVersion is {values['apiVersion']!r}, not of version 3"
        yield Problem(document.line(("apiVersion",)), "standard", message)


def _names(document: Document) -> Iterator[Problem]:
    for path in (*document.items((), "schema"), *_columns(document)):
        if not document.at(path).get("name"):
            yield Problem(document.line(path), "standard", "name is missing")


def _misspelt(document: Document) -> Iterator[Problem]:
    """Below the top level the standard's model ignores a misspelt word, and `requird: true` would mean nothing."""
    for path, model in _modelled(document):
        known = {field.alias or name for name, field in model.model_fields.items()}
        for word in document.at(path).keys() - known:
            yield Problem(document.line((*path, word)), "standard", f"{word!r} is not a word of the standard here")


def _modelled(document: Document) -> Iterator[tuple[Path, type[BaseModel]]]:
    tables, columns = tuple(document.items((), "schema")), tuple(_columns(document))
    yield from ((path, SchemaObject) for path in tables)
    yield from ((path, SchemaProperty) for path in columns)
    for element in ((), *tables, *columns):
        yield from ((path, CustomProperty) for path in document.items(element, "customProperties"))
        yield from ((path, EnumValue) for path in document.items(element, "enum"))


def _columns(document: Document) -> Iterator[Path]:
    for table in document.items((), "schema"):
        yield from document.items(table, "properties")


def _against_our_words(document: Document) -> tuple[Problem, ...]:
    problems = list(_extras(document, (), ContractExtras))
    for path in document.items((), "schema"):
        problems += _extras(document, path, TableExtras)
    for path in _columns(document):
        problems += [*_type(document, path), *_bounds(document, path), *_allowed(document, path)]
        problems += _extras(document, path, ColumnExtras)
    return tuple(problems or _kinds(document))


def _extras(document: Document, path: Path, model: type[Extras]) -> Iterator[Problem]:
    places: dict[str, Path] = {}
    for entry in document.items(path, "customProperties"):
        name = str(document.at(entry).get("property"))
        if name in places:
            yield Problem(document.line(entry), "custom property", f"{name!r} is given twice")
        places[name] = entry
    try:
        model.model_validate(custom_properties(document.at(path)))
    except ValidationError as wrong:
        for error in wrong.errors():
            place = places.get(str(error["loc"][0]), path)
            yield Problem(document.line((*place, "value", *error["loc"][1:])), "custom property", _sentence(error))


def _type(document: Document, path: Path) -> Iterator[Problem]:
    found = document.at(path).get("logicalType")
    if found not in tuple(LogicalType):
        message = f"logicalType {found!r} is none of {', '.join(LogicalType)}"
        yield Problem(document.line((*path, "logicalType")), "logical type", message)


def _bounds(document: Document, path: Path) -> Iterator[Problem]:
    try:
        Bounds.model_validate(document.at(path).get("logicalTypeOptions") or {})
    except ValidationError as wrong:
        yield from _problems(document, (*path, "logicalTypeOptions"), "range", wrong)


def _allowed(document: Document, path: Path) -> Iterator[Problem]:
    """Unquoted, YAML reads No as false and 1 as a number, which no text at the source would ever equal."""
    for entry in document.items(path, "enum"):
        value = document.at(entry).get("value")
        if not isinstance(value, str):
            yield Problem(document.line(entry), "allowed values", f"{value!r} is not text; put it in quotes")


def _kinds(document: Document) -> Iterator[Problem]:
    kinds = [table_extras(table).kind for table in document.values["schema"]]
    if len(kinds) - kinds.count("source") != 1:
        yield Problem(document.line(("schema",)), "kind", "exactly one table is of kind customer or flat")
    elif "flat" in kinds and len(kinds) > 1:
        yield Problem(document.line(("schema",)), "kind", "a flat contract has one table; with sources it is customer")


def _problems(document: Document, path: Path, rule: str, wrong: ValidationError) -> Iterator[Problem]:
    for error in wrong.errors():
        yield Problem(document.line((*path, *error["loc"])), rule, _sentence(error))


def _sentence(error: Mapping[str, Any]) -> str:
    """Pydantic's message, led by where it is and followed by what was found there."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place!r} is not known here"
    found = "" if error["type"] == "missing" else f", not {error['input']!r}"
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}{found}"


def _placed(document: Document, broken: BrokenRule) -> Problem:
    """The broken rule with its line; of two tables or columns with one name the last is the one too many."""
    path: Path = ()
    for word, name in (("schema", broken.table), ("properties", broken.column)):
        named = [place for place in document.items(path, word) if document.at(place)["name"] == name]
        path = named[-1] if named else path
    place = (*path, broken.word) if broken.word else path
    return Problem(document.line(place), broken.rule, broken.message)


def _contract(values: Element, text: str) -> Contract:
    extras = contract_extras(values)
    tables = [(_table(table, extras), table_extras(table).kind) for table in values["schema"]]
    return Contract(
        name=values["name"],
        version=str(values["version"]),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        description=(values.get("description") or {}).get("purpose") or "",
        sources=tuple(table for table, kind in tables if kind != "customer"),
        customer=next(table for table, kind in tables if kind != "source"),
        flat=any(kind == "flat" for _, kind in tables),
        surrogate_key=extras.surrogate_key,
        horizon_days=extras.horizon_days,
        value_months=extras.value_months,
        training=TrainingFacts(**extras.training.model_dump()),
        text=text,
    )


def _table(table: Element, extras: ContractExtras) -> Table:
    elements = table.get("properties") or ()
    keys = [element for element in elements if element.get("primaryKey")]
    placed = sorted(keys, key=lambda element: int(element.get("primaryKeyPosition") or 1))
    return Table(
        name=table["name"],
        description=table.get("description") or "",
        columns=tuple(_column(element, extras) for element in elements),
        primary_key=tuple(element["name"] for element in placed),
    )


def _column(element: Element, contract: ContractExtras) -> Column:
    extras = column_extras(element)
    is_key = Role.KEY in extras.role
    entries = element.get("enum") or ()
    return Column(
        name=element["name"],
        logical_type=LogicalType(element["logicalType"]),
        description=element.get("description") or "",
        physical_name=element.get("physicalName") or "",
        title=element.get("businessName") or "",
        roles=extras.role,
        required=bool(element.get("required")) or is_key,
        unique=bool(element.get("unique")) or is_key,
        allowed=tuple(entry["value"] for entry in entries),
        labels=_labels(entries),
        derived=is_key and contract.surrogate_key,
        **Bounds.model_validate(element.get("logicalTypeOptions") or {}).model_dump(),
        **extras.model_dump(exclude={"role"}),
    )


def _labels(entries: Sequence[Element]) -> tuple[str, ...]:
    if not any("label" in entry for entry in entries):
        return ()
    return tuple(entry.get("label") or entry["value"] for entry in entries)
