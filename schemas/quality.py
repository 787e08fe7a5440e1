"""The shapes of data quality: a check, its result, and the report of a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a failed check means for the night."""

    INFO = "info"  # it is logged
    WARNING = "warning"  # it is reported, the bad rows are set aside or scored as unseen
    CRITICAL = "critical"  # the night stops, nothing is published


class Rule(StrEnum):
    """What a check asks. The first three ask the whole table, the others one column."""

    COLUMNS = "columns"  # exactly the columns `names`, in that order
    ROW_COUNT = "row_count"  # minimum to maximum rows
    ROWS_KEPT = "rows_kept"  # few enough rows break any rule, however they are spread over the columns
    NOT_NULL = "not_null"
    UNIQUE = "unique"
    BETWEEN = "between"  # minimum to maximum, both inclusive; never NaN or infinite
    AMONG = "among"  # one of `allowed`
    MEAN = "mean"  # the column's mean is minimum to maximum


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a table.

    `mostly` is the least share of rows that must obey, of the rows that have a value (for not_null: of all).
    `quarantines` says that a row which breaks the rule leaves the night. Bounds are in the column's own unit.
    """

    rule: Rule
    severity: Severity
    column: str = ""
    mostly: float = 1.0
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str | int | float | bool, ...] = ()
    names: tuple[str, ...] = ()
    unit: str = ""
    quarantines: bool = False

    @property
    def name(self) -> str:
        """What reports call the check, such as `monthly_fee between`."""
        return f"{self.column or 'table'} {self.rule}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: how many of `total` rows break it, or what was observed instead of a count.

    `examples` are keys of rows that break it, with the value in brackets; `problem` is set where the check could
    not be made.
    """

    check: Check
    passed: bool
    unexpected: int = 0
    total: int = 0
    observed: str = ""
    problem: str = ""
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of rows that break the rule, 0 to 1."""
        return self.unexpected / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All results for one table; `where` names it for people, `quarantined` counts the distinct rows set aside."""

    where: str
    results: tuple[CheckResult, ...]
    rows: int = 0
    quarantined: int = 0

    def failed(self, severity: Severity) -> tuple[CheckResult, ...]:
        """The failed checks of that severity, in order."""
        return tuple(result for result in self.results if not result.passed and result.check.severity is severity)

    @property
    def worst(self) -> Severity | None:
        """The highest severity that failed, None where all checks passed."""
        for severity in (Severity.CRITICAL, Severity.WARNING, Severity.INFO):
            if self.failed(severity):
                return severity
        return None
