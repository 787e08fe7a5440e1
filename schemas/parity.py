"""What holding a published night against the service keeps: whether both give the same customers the same scores."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table


class ParityState(StrEnum):
    """What came of holding a night against the service."""

    EQUAL = "equal"
    BROKEN = "broken"  # the service and the table give one customer two scores
    NOT_COMPARED = "not compared"  # the service was away, or another model answered


def _column(name: str, logical_type: LogicalType, description: str, *, may_lack: bool = False) -> Column:
    return Column(name, logical_type, description, required=not may_lack)


_STRING, _INTEGER, _NUMBER = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER

PARITY = Table(
    name="parity",
    description="Whether the service scores customers of each published night as the table says, by a sample of them",
    columns=(
        _column("contract", _STRING, "Contract of the base"),
        _column("as_of", LogicalType.DATE, "Date of the night"),
        _column("run_id", _STRING, "Run of the scores that the service was held against"),
        _column("asked_at", LogicalType.TIMESTAMP, "When the service was asked, UTC"),
        _column("service", _STRING, "Address of the service; empty where the night started one for itself"),
        Column("state", _STRING, "What came of it", required=True, allowed=tuple(ParityState)),
        _column("sampled", _INTEGER, "Customers of the night who were drawn"),
        _column("compared", _INTEGER, "Those whom the night's own model scored in the service, or who were refused"),
        _column("unequal", _INTEGER, "Those of the compared whose scores differ, or whom one side did not score"),
        _column("worst", _NUMBER, "Largest difference in probability or log-odds", may_lack=True),
        _column("differs_in", _STRING, "Columns that the service takes otherwise, the likeliest first", may_lack=True),
        _column("says", _STRING, "All of it in a sentence"),
    ),
    primary_key=("contract", "as_of", "run_id"),
)
