"""Which checks a night makes, derived from the contract, and what their results mean for it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from churn.errors import QualityError
from schemas.columns import Column, LogicalType, Role, WhenInvalid
from schemas.contract import Contract
from schemas.quality import Check, CheckResult, QualityReport, Rule, Severity
from schemas.scores import SCORES

# More broken rows than this are no stray rows but a broken source: seconds instead of minutes, a new plan code.
TOLERATED_SHARE = 0.05
# Against the base of the night before. A merger may add customers in one night; nothing doubles the base.
SHRINK_LIMIT = 0.20
GROWTH_LIMIT = 1.00
# The mean score may wander from the base rate with the season and with prices, not by this factor.
MEAN_FACTOR = 3.0
# The least `mostly` above none: a column that has a value at all.
ANY_VALUE = 1e-9

_LARGEST = sys.float_info.max  # as a bound it refuses NaN and infinity, which DuckDB orders above it


def row_limits(previous_rows: int) -> tuple[int, int]:
    """The least and the most rows that may follow a night of `previous_rows`, both inclusive."""
    least = math.ceil(previous_rows * (1 - SHRINK_LIMIT))
    return max(1, least), max(1, math.floor(previous_rows * (1 + GROWTH_LIMIT)))


def input_checks(contract: Contract, expected_rows: tuple[int, int] | None = None) -> tuple[Check, ...]:
    """The checks of a snapshot before scoring; without `expected_rows` it must have a row at least."""
    columns = (check for column in contract.customer.columns for check in _input_checks(column, contract))
    return (*_table_checks(contract.customer.names, expected_rows), *columns)


def output_checks(expected_rows: tuple[int, int], *, base_rate: float | None = None) -> tuple[Check, ...]:
    """The checks of the score table before it is published: every one critical, no row may break any.

    `base_rate` is the churn rate that the champion was trained on; None leaves the mean score unchecked.
    """
    columns = (check for column in SCORES.columns for check in _strict_checks(column))
    return (*_table_checks(SCORES.names, expected_rows), *columns, *_mean_checks(base_rate))


def _table_checks(names: tuple[str, ...], expected_rows: tuple[int, int] | None) -> tuple[Check, ...]:
    least, most = expected_rows or (1, None)
    return (
        Check(Rule.COLUMNS, Severity.CRITICAL, names=names),
        Check(Rule.ROW_COUNT, Severity.CRITICAL, minimum=least, maximum=most),
    )


def _mean_checks(base_rate: float | None) -> Iterator[Check]:
    if base_rate is not None:
        least, most = base_rate / MEAN_FACTOR, min(1.0, base_rate * MEAN_FACTOR)
        yield Check(Rule.MEAN, Severity.CRITICAL, "probability", minimum=least, maximum=most)


def _input_checks(column: Column, contract: Contract) -> Iterator[Check]:
    if column.has(Role.KEY):
        yield from _key_checks(column, contract)
    elif column.required:
        yield from _two_levels(Check(Rule.NOT_NULL, Severity.WARNING, column.name, quarantines=True))
    elif column.has(Role.FEATURE):
        yield Check(Rule.NOT_NULL, Severity.CRITICAL, column.name, mostly=ANY_VALUE)
    if column.unique and not column.has(Role.KEY):
        yield Check(Rule.UNIQUE, Severity.CRITICAL, column.name)
    for check in _value_checks(column):
        yield from _two_levels(replace(check, quarantines=column.when_invalid is WhenInvalid.QUARANTINE))


def _key_checks(column: Column, contract: Contract) -> Iterator[Check]:
    yield Check(Rule.NOT_NULL, Severity.CRITICAL, column.name, quarantines=True)
    # Exact duplicates share a key that is made from the row: the first stays, and nobody is scored twice.
    severity = Severity.WARNING if contract.surrogate_key else Severity.CRITICAL
    yield Check(Rule.UNIQUE, severity, column.name, quarantines=True)


def _two_levels(check: Check) -> tuple[Check, Check]:
    """A few broken rows are a warning, more than the tolerated share stops the night."""
    return check, replace(check, severity=Severity.CRITICAL, mostly=1 - TOLERATED_SHARE, quarantines=False)


def _strict_checks(column: Column) -> Iterator[Check]:
    if column.required:
        yield Check(Rule.NOT_NULL, Severity.CRITICAL, column.name)
    if column.unique:
        yield Check(Rule.UNIQUE, Severity.CRITICAL, column.name)
    for check in _value_checks(column):
        yield replace(check, severity=Severity.CRITICAL)


def _value_checks(column: Column) -> Iterator[Check]:
    bounded = column.minimum is not None or column.maximum is not None
    if bounded or column.logical_type is LogicalType.NUMBER:
        least = -_LARGEST if column.minimum is None else column.minimum
        most = _LARGEST if column.maximum is None else column.maximum
        yield Check(Rule.BETWEEN, Severity.WARNING, column.name, minimum=least, maximum=most, unit=column.unit)
    if column.allowed:
        allowed = tuple(_typed(text, column.logical_type) for text in column.allowed)
        yield Check(Rule.AMONG, Severity.WARNING, column.name, allowed=allowed)


def _typed(text: str, logical_type: LogicalType) -> str | int | float | bool:
    match logical_type:
        case LogicalType.INTEGER:
            return int(text)
        case LogicalType.NUMBER:
            return float(text)
        case LogicalType.BOOLEAN:
            return text.lower() == "true"
        case _:
            return text


def columns_found(expected: Sequence[str], found: Sequence[str]) -> str:
    """How the columns of a table differ from the expected ones, in words."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    told = [f"{words} {', '.join(names)}" for words, names in (("without", missing), ("extra", extra)) if names]
    if told:
        return "; ".join(told)
    return "these" if list(expected) == list(found) else f"another order: {', '.join(found)}"


def with_quarantine(report: QualityReport, *, set_aside: int, broken: int) -> QualityReport:
    """The report with the rows set aside counted, and with the check that not too many of them are broken.

    Many columns with a few broken rows each would otherwise thin the base unseen. Rows that only repeat another
    one count as set aside and not as broken.
    """
    check = Check(Rule.ROWS_KEPT, Severity.CRITICAL, mostly=1 - TOLERATED_SHARE)
    kept = CheckResult(check, broken <= report.rows * TOLERATED_SHARE, broken, report.rows)
    return replace(report, results=(*report.results, kept), quarantined=set_aside)


def verdict(report: QualityReport) -> None:
    """Lets the night go on, or raises QualityError that names the column, the rule, the count and examples."""
    failed = report.failed(Severity.CRITICAL)
    if not failed:
        return
    first = failed[0]
    where = f"{report.where}/{first.check.column}" if first.check.column else report.where
    others = f"; also failed: {', '.join(_distinct_names(failed[1:]))}" if failed[1:] else ""
    raise QualityError(finding(first) + others, where=where, to_do=_advice(first.check))


def _advice(check: Check) -> str:
    # A count with one value that is right has no range to widen: it says whether rows came, and how often.
    exact = check.rule is Rule.BETWEEN and check.minimum == check.maximum
    if exact:
        return "Ask the source to deliver these rows again, each of them once."
    of_key = check.rule is Rule.NOT_NULL and check.quarantines  # of no other column one value alone is critical
    return "Ask the source for the keys: a row without one is nobody's." if of_key else _ADVICE[check.rule]


def _distinct_names(results: tuple[CheckResult, ...]) -> list[str]:
    return list(dict.fromkeys(result.check.name for result in results))


def finding(result: CheckResult) -> str:
    """What a check found, as a sentence for people."""
    if result.problem:
        return f"{result.check.name} could not be checked ({result.problem})"
    check = result.check
    if check.rule in (Rule.COLUMNS, Rule.ROW_COUNT, Rule.MEAN):
        return f"{subject(check)}: found {result.observed}"
    tolerated = f", at most {1 - check.mostly:.0%} is tolerated" if ANY_VALUE < check.mostly < 1 else ""
    examples = f"; for example {', '.join(result.examples)}" if result.examples else ""
    counts = f"{result.unexpected:,} of {result.total:,} rows ({result.share:.2%})"
    return f"{subject(check)}: broken in {counts}{tolerated}{examples}"


def subject(check: Check) -> str:
    """What a check asks, as words for people."""
    return _QUESTIONS[check.rule].format(check=check, limits=_limits(check), allowed=_listed(check.allowed))


def _limits(check: Check) -> str:
    unit = f" {check.unit}" if check.unit else ""
    least = None if check.minimum in (None, -_LARGEST) else check.minimum
    most = None if check.maximum in (None, _LARGEST) else check.maximum
    if least is None and most is None:
        return "a finite number"
    if least == most:
        return f"{least:,.10g}{unit}"
    if most is None:
        return f"at least {least:,.10g}{unit}"
    if least is None:
        return f"at most {most:,.10g}{unit}"
    return f"{least:,.10g} to {most:,.10g}{unit}"


def _listed(values: tuple[str | int | float | bool, ...], most: int = 6) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(str(value) for value in values[:most]) + more


_QUESTIONS = {
    Rule.COLUMNS: "the columns are those of the contract, in its order",
    Rule.ROW_COUNT: "the number of rows is {limits}",
    Rule.ROWS_KEPT: "hardly a row breaks any rule",
    Rule.NOT_NULL: "{check.column} has a value",
    Rule.UNIQUE: "{check.column} occurs once",
    Rule.BETWEEN: "{check.column} is {limits}",
    Rule.AMONG: "{check.column} is one of {allowed}",
    Rule.MEAN: "the mean of {check.column} is {limits}",
}
_ADVICE = {
    Rule.COLUMNS: "Compare the source with the contract: a column was added, left out, renamed or moved.",
    Rule.ROW_COUNT: "Ask whether the source was delivered whole; if the change is real, say how many rows to expect.",
    Rule.ROWS_KEPT: "Read quarantine.parquet beside the report: it names each row, its column and its rule.",
    Rule.NOT_NULL: "Ask the source why the values are missing; if they may be, let the contract not require them.",
    Rule.UNIQUE: "Remove the repeated rows at the source, or name the right key in the contract.",
    Rule.BETWEEN: "Ask the source for its unit; if the values are right, widen the range in the contract.",
    Rule.AMONG: "If the values are right, add them to the allowed ones in the contract and train again.",
    Rule.MEAN: "Compare the features with those of the training window before you publish these scores.",
}
