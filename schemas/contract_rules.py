"""The rules of a contract that no schema language says: they hold between columns, or between a type and a role."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from schemas.columns import Column, LogicalType, Role, Table, WhenInvalid
from schemas.contract import Contract

NUMERIC = (LogicalType.INTEGER, LogicalType.NUMBER)
LONGEST_NAME = 63  # PostgreSQL cuts a longer name off, and two columns could become one
ROLES_ALONE = (Role.KEY, Role.LABEL, Role.IGNORED, Role.PROTECTED, Role.HOUSEHOLD, Role.CONSENT)
ROLES_ONCE = (Role.SEGMENT, Role.REGION, Role.VALUE, Role.LABEL, Role.HOUSEHOLD)
RECORDED_AT = "recorded_at"
AS_OF = "as_of"  # stands beside the contract's columns in every training and score table

_SNAKE_CASE = re.compile(rf"[a-z][a-z0-9_]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that a contract breaks; without a table it is the contract as a whole, without a column the table.

    `word` is the word of the contract itself that is at fault, where one alone is.
    """

    rule: str
    message: str
    table: str = ""
    column: str = ""
    word: str = ""


def broken_rules(contract: Contract) -> Iterator[BrokenRule]:
    """Every rule that the contract breaks."""
    yield from _contract_rules(contract)
    yield from _customer_rules(contract.customer)
    for table in contract.tables:
        yield from _table_rules(table)
        for column in table.columns:
            yield from _column_rules(table, column)
    if not contract.flat:
        for table in contract.sources:
            yield from _source_rules(table)


def _contract_rules(contract: Contract) -> Iterator[BrokenRule]:
    if complaint := _unfit_name(contract.name):
        yield BrokenRule("name", f"{contract.name!r} {complaint}", word="name")
    if contract.surrogate_key and not contract.flat:
        yield BrokenRule("surrogate key", "only a flat contract may make its key from the row's content")
    if not contract.sources:
        yield BrokenRule("source", "a customer row needs at least one table of kind source to be built from")
    for name in _repeated(table.name for table in contract.tables):
        yield BrokenRule("one name", f"two tables are called {name}", name)
    features = {column.name for column in contract.features}
    for leak in features.intersection(contract.training.leaks):
        yield BrokenRule("leak", f"{leak} is on the leak list and yet a feature", contract.customer.name, leak)


def _customer_rules(customer: Table) -> Iterator[BrokenRule]:
    keys = customer.with_role(Role.KEY)
    if len(keys) != 1:
        named = ", ".join(column.name for column in keys) or "none"
        yield BrokenRule("one key", f"exactly one column has the role key; here {named}", customer.name)
    if not customer.with_role(Role.FEATURE):
        yield BrokenRule("a feature", "no column has the role feature, so nothing can be learnt", customer.name)
    for role in ROLES_ONCE:
        for column in customer.with_role(role)[1:]:
            yield BrokenRule("one column", f"{column.name} is a second {role}", customer.name, column.name)


def _source_rules(table: Table) -> Iterator[BrokenRule]:
    if not table.primary_key:
        yield BrokenRule("primary key", "a source needs one, to tell a correction from a new fact", table.name)
    recorded = [column for column in table.columns if column.name == RECORDED_AT]
    if not recorded or recorded[0].logical_type is not LogicalType.TIMESTAMP:
        message = f"a source needs a timestamp {RECORDED_AT}, or nothing could be said as of a moment"
        yield BrokenRule("recorded at", message, table.name)


def _table_rules(table: Table) -> Iterator[BrokenRule]:
    if complaint := _unfit_name(table.name):
        yield BrokenRule("name", f"table {table.name!r} {complaint}", table.name)
    for name in _repeated(table.names):
        yield BrokenRule("one name", f"two columns are called {name}", table.name, name)
    for source_name in _repeated(column.source_name for column in table.columns if not column.derived):
        name = [column.name for column in table.columns if column.source_name == source_name][-1]
        yield BrokenRule("one name", f"two columns come from {source_name!r}", table.name, name)


def _column_rules(table: Table, column: Column) -> Iterator[BrokenRule]:
    for rule, complaint in COLUMN_RULES:
        if message := complaint(column):
            yield BrokenRule(rule, f"{column.name} {message}", table.name, column.name)


def _unfit_name(name: str) -> str:
    """Names become columns, views and folders, and a folder called ../x would be another one's."""
    fits = _SNAKE_CASE.fullmatch(name)
    return "" if fits else f"is not snake_case of at most {LONGEST_NAME} letters, digits and underscores"


def _name(column: Column) -> str:
    if complaint := _unfit_name(column.name):
        return complaint
    if column.name == AS_OF or hasattr(BaseModel, column.name):
        return "is a name that the pipeline needs itself; choose another and keep the source's as physicalName"
    return ""


def _description(column: Column) -> str:
    return "" if column.description.strip() else "has no description"


def _range(column: Column) -> str:
    low, high = column.minimum, column.maximum
    if column.logical_type not in NUMERIC:
        return "" if low is None and high is None else f"is a {column.logical_type}, which has no minimum or maximum"
    return f"has minimum {low:g} above maximum {high:g}" if None not in (low, high) and low > high else ""  # type: ignore[operator]


def _allowed(column: Column) -> str:
    if column.allowed and column.logical_type is not LogicalType.STRING:
        return f"is a {column.logical_type}; only a string has allowed values (a whole number may be read as one)"
    twice = _repeated(column.allowed)
    return f"allows {twice[0]!r} twice" if twice else ""


def _when_invalid(column: Column) -> str:
    ruled = column.allowed or column.minimum is not None or column.maximum is not None
    scored_as_unseen = column.when_invalid is WhenInvalid.UNKNOWN
    if scored_as_unseen and column.has(Role.KEY, Role.LABEL, Role.VALUE):
        return "has no unknown value to fall back to; whenInvalid must be quarantine"
    return "says whenInvalid but has neither range nor allowed values" if scored_as_unseen and not ruled else ""


def _roles(column: Column) -> str:
    if len(set(column.roles)) != len(column.roles):
        return "has a role twice"
    alone = [role for role in column.roles if role in ROLES_ALONE]
    return f"is {alone[0]} and so can be nothing else" if alone and len(column.roles) > 1 else ""


def _key(column: Column) -> str:
    wrong = column.has(Role.KEY) and column.logical_type is not LogicalType.STRING
    return f"is the key and must be a string, not {column.logical_type}" if wrong else ""


def _label(column: Column) -> str:
    if not column.has(Role.LABEL):
        return ""
    whole = column.logical_type is LogicalType.INTEGER and (column.minimum, column.maximum) == (0, 1)
    return "" if whole else "is the label and must be an integer of minimum 0 and maximum 1"


def _value(column: Column) -> str:
    wrong = column.has(Role.VALUE) and column.logical_type not in NUMERIC
    return f"is the value and must be a number, not {column.logical_type}" if wrong else ""


def _feature(column: Column) -> str:
    moment = column.logical_type in (LogicalType.DATE, LogicalType.TIMESTAMP)
    wrong = column.has(Role.FEATURE) and moment
    return "is a moment; a feature is the time since or until it" if wrong else ""


def _monotone(column: Column) -> str:
    if not column.monotone:
        return ""
    if not column.has(Role.FEATURE):
        return "is monotone, which only a feature can be"
    return "" if column.logical_type in NUMERIC else f"is a {column.logical_type} and has no order to be monotone in"


def _truth_words(column: Column) -> str:
    if not column.positive and not column.negative:
        return ""
    if column.logical_type is not LogicalType.BOOLEAN and not column.has(Role.LABEL):
        return "has words for yes and no but is neither boolean nor the label"
    differ = column.positive and column.negative and column.positive != column.negative
    return "" if differ else "needs both positive and negative, and they must differ"


COLUMN_RULES: tuple[tuple[str, Callable[[Column], str]], ...] = (
    ("name", _name),
    ("description", _description),
    ("range", _range),
    ("allowed values", _allowed),
    ("when invalid", _when_invalid),
    ("roles", _roles),
    ("key", _key),
    ("label", _label),
    ("value", _value),
    ("feature", _feature),
    ("monotone", _monotone),
    ("yes and no", _truth_words),
)


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
