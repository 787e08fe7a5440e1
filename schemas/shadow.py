"""What a challenger's nights in the shadow keep: who waits for a place, how each night went, and the newest scores."""

from __future__ import annotations

from enum import StrEnum

from schemas.columns import Column, LogicalType, Table


class Ending(StrEnum):
    """How a challenger's time in the shadow ended."""

    PROMOTED = "promoted"
    RED = "red"  # a night went wrong
    OVERTAKEN = "overtaken"  # another version has, or wants, the place by now


def _column(name: str, logical_type: LogicalType, description: str, *, may_lack: bool = False) -> Column:
    return Column(name, logical_type, description, required=not may_lack)


_STRING, _INTEGER, _NUMBER, _DATE = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER, LogicalType.DATE
_CONTRACT = _column("contract", _STRING, "Contract of the base")
_SEGMENT = _column("segment", _STRING, "Segment whose place the challenger wants, or all")
_VERSION = _column("version", _INTEGER, "Number of the challenger")
_AS_OF = _column("as_of", _DATE, "Date of the night")

SHADOWS = Table(
    name="shadow",
    description="Every challenger that passed a gate and scores some nights unseen before it may become champion",
    columns=(
        _CONTRACT,
        _SEGMENT,
        _VERSION,
        _column("expected_version", _INTEGER, "Champion of the place when it was judged; null: none", may_lack=True),
        _column("nights", _INTEGER, "Nights that it has to score"),
        _column("gate", _STRING, "Name of the gate that asks for them"),
        _column("who", _STRING, "Person or flow that asked for the place"),
        _column("why", _STRING, "The reason given"),
        _column("asked_at", LogicalType.TIMESTAMP, "When, UTC"),
        _column("ended_at", LogicalType.TIMESTAMP, "When its time in the shadow was over, UTC", may_lack=True),
        Column("ending", _STRING, "How it ended; null while it goes on", allowed=tuple(Ending)),
        _column("says", _STRING, "Why it ended so", may_lack=True),
    ),
    primary_key=("contract", "segment", "version"),
)

SHADOW_NIGHTS = Table(
    name="shadow_night",
    description="How each challenger in the shadow scored a night, beside who was champion",
    columns=(
        _CONTRACT,
        _SEGMENT,
        _VERSION,
        _AS_OF,
        _column("customers", _INTEGER, "Customers whom it would score"),
        _column("mean", _NUMBER, "Mean probability by the challenger", may_lack=True),
        _column("champion_mean", _NUMBER, "The same by who scored them that night"),
        _column("calibrated_to", _NUMBER, "Churn rate that the challenger was calibrated to", may_lack=True),
        _column("overlap", _NUMBER, "Share of the riskiest, as many as lists have places, of both", may_lack=True),
        _column("red", _STRING, "What is wrong; null where nothing is", may_lack=True),
        _column("run_id", _STRING, "Run of the champion's scores"),
    ),
    primary_key=("contract", "segment", "version", "as_of"),
)

SHADOW_SCORES = Table(
    name="shadow_score",
    description="Scores of challengers in the shadow, of their newest night; no list is made from them",
    columns=(
        _CONTRACT,
        _SEGMENT,
        _VERSION,
        _AS_OF,
        _column("customer_id", _STRING, "Key of the customer"),
        _column("log_odds", _NUMBER, "Log-odds of leaving within the horizon, by the challenger"),
        _column("probability", _NUMBER, "Calibrated probability of leaving within the horizon, by the challenger"),
        _column("champion_probability", _NUMBER, "The same by who scored him that night"),
    ),
    primary_key=("contract", "segment", "version", "customer_id"),
)
