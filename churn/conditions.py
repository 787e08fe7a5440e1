"""Conditions on columns of the customer row that no customer could meet, or that must not decide about any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, floor, inf, isfinite, nextafter

from schemas.columns import Column, LogicalType, Role
from schemas.policy import REASON, Action, Cause, Condition

# No rule or cause can wait for a moment: a policy file is to hold every night.
_COMPARABLE = {
    LogicalType.BOOLEAN: bool,
    LogicalType.INTEGER: int,
    LogicalType.NUMBER: int,
    LogicalType.STRING: str,
}
NUMBERS = (LogicalType.INTEGER, LogicalType.NUMBER)
_TOLD = (Role.SEGMENT, Role.FEATURE, Role.VALUE)  # what is known of a customer at night and in a question by day


def cannot_equal(who: str, name: str, values: Iterable[object], columns: dict[str, Column]) -> Iterator[str]:
    """Which of the values the column never holds."""
    if name not in columns:
        yield f"{who} looks at {name}, a column that a customer row does not have"
        return
    column = columns[name]
    for value in values:
        if type(value) is not _COMPARABLE.get(column.logical_type):  # isinstance would let True pass for 1
            yield f"{who} compares {name} ({column.logical_type}) with {value!r}"
        elif column.allowed and value not in column.allowed:
            yield f"{who} waits for {value!r}, which {name} may not hold"


def contradictions(action: Action) -> Iterator[str]:
    """What of the action's causes contradicts itself, or could have no effect."""
    if action.causes and action.answers:
        yield f"actions: {action.name} has both answers and causes: whom it is meant for is said by one of them"
    if action.causes and all(cause.keeps <= 0.0 for cause in action.causes):
        yield f"actions: {action.name}: none of its causes keeps anybody"
    for cause in action.causes:
        if cause.says and REASON in cause.says:
            yield f"actions: {action.name}: causes: {cause.name} says {REASON}, and a cause names none"
        yield from _unclear(f"actions: {action.name}: causes: {cause.name}: when", cause)


def unmeetable(action: Action, columns: dict[str, Column]) -> Iterator[str]:
    """What keeps every customer of the contract from meeting one of the causes, or must not decide about any."""
    for cause in action.causes:
        who = f"actions: {action.name}: causes: {cause.name}"
        for condition in cause.when:
            yield from _forbidden(who, condition, columns) or _unfit(who, condition, columns[condition.column])


def _forbidden(who: str, condition: Condition, columns: dict[str, Column]) -> list[str]:
    """Why the condition must not look at its column, if so."""
    name, column = condition.column, columns.get(condition.column)
    if column is None:
        return [f"{who} looks at {name}, a column that a customer row does not have"]
    if column.has(Role.PROTECTED):
        return [f"{who} looks at {name}, which the contract protects"]
    if not column.has(*_TOLD):
        return [f"{who} looks at {name}, which is neither feature, segment nor value: by day nobody tells it"]
    return []


def _unfit(who: str, condition: Condition, column: Column) -> Iterator[str]:
    """Why no customer can meet the condition, if so."""
    if condition.equals is not None:
        yield from cannot_equal(who, column.name, [condition.equals], {column.name: column})
    elif condition.asked and column.logical_type not in NUMBERS:
        yield f"{who} sets limits to {column.name} ({column.logical_type}), which is no number"
    elif condition.asked and _is_empty(condition, column):
        yield f"{who}: no {column.name} that the contract allows lies within the limits"
    elif condition.missing and column.required:
        yield f"{who} waits for a missing {column.name}, which the contract requires"


def _is_empty(condition: Condition, column: Column) -> bool:
    """Whether no number that the column may hold lies within the condition's limits."""
    low = max(_lowest(condition, column), -inf if column.minimum is None else column.minimum)
    high = min(_highest(condition, column), inf if column.maximum is None else column.maximum)
    return low > high


def _lowest(condition: Condition, column: Column) -> float:
    """The smallest number that the lower limits leave."""
    above, least = (-inf if limit is None else limit for limit in (condition.above, condition.at_least))
    if column.logical_type is LogicalType.INTEGER:
        return max(floor(above) + 1 if isfinite(above) else above, ceil(least) if isfinite(least) else least)
    return max(nextafter(above, inf) if isfinite(above) else above, least)


def _highest(condition: Condition, column: Column) -> float:
    """The largest number that the upper limits leave: the smallest of the mirrored ones, mirrored."""
    below, most = (None if limit is None else -limit for limit in (condition.below, condition.at_most))
    return -_lowest(Condition(column=condition.column, above=below, at_least=most), column)


def _unclear(who: str, cause: Cause) -> Iterator[str]:
    for condition in cause.when:
        if len(_kinds(condition)) != 1:
            limits = "limits (above or at_least, below or at_most)"
            yield f"{who}: {condition.column} needs one of equals, missing, or {limits}"


def _kinds(condition: Condition) -> set[str]:
    """Which kinds of question the condition asks."""
    limits = {"limits" for name in condition.asked if name != "equals"}
    return limits | {name for name in ("equals", "missing") if getattr(condition, name) is not None}
