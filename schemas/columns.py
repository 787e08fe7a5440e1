"""A column of a table and of a customer row, as a contract describes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LogicalType(StrEnum):
    """The logical types of the Open Data Contract Standard that a column may have."""

    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Role(StrEnum):
    """What a column of the customer row is for. Exactly one key; the rest as often as they occur.

    A column may have several: a tariff is a segment and a feature, a monthly bill is a value and a feature.
    """

    KEY = "key"
    SEGMENT = "segment"
    REGION = "region"
    FEATURE = "feature"
    LABEL = "label"
    VALUE = "value"
    HOUSEHOLD = "household"
    CONSENT = "consent"
    PROTECTED = "protected"
    IGNORED = "ignored"


class WhenInvalid(StrEnum):
    """What becomes of a row whose value breaks the column's range or is not among the allowed values."""

    QUARANTINE = "quarantine"  # the row leaves the night and is counted
    UNKNOWN = "unknown"  # the value is scored as unseen, the row stays


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, what it may hold, and what it is for.

    `minimum` and `maximum` are inclusive and in `unit`; `allowed` is empty where any value goes;
    `physical_name` is what the source calls the column; `monotone` is +1 where churn can only rise
    with the value, -1 where it can only fall, else 0. `positive` and `negative` are the source's words for
    yes and no where they are not the usual ones (yes, true, t, y, 1 against no, false, f, n, 0).
    `labels` says in words what each of the `allowed` values means, in the same order, or is empty where they speak
    for themselves. A `derived` column is not at the source but is made from the row.
    """

    name: str
    logical_type: LogicalType
    description: str
    physical_name: str = ""
    roles: tuple[Role, ...] = (Role.IGNORED,)
    required: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()
    when_invalid: WhenInvalid = WhenInvalid.QUARANTINE
    unit: str = ""
    title: str = ""
    actionable: bool = False
    monotone: int = 0
    positive: str = ""
    negative: str = ""
    labels: tuple[str, ...] = ()
    derived: bool = False

    def has(self, *roles: Role) -> bool:
        """Whether the column has one of the roles."""
        return any(role in self.roles for role in roles)

    @property
    def source_name(self) -> str:
        """The name that the source gives the column."""
        return self.physical_name or self.name

    @property
    def words(self) -> str:
        """How a person calls the column."""
        return self.title or self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, and the columns that together identify a row."""

    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def with_role(self, *roles: Role) -> tuple[Column, ...]:
        """The columns that have one of the roles, in order."""
        return tuple(column for column in self.columns if column.has(*roles))
