"""What a job is asked and what it gives: customers to score in the background, and a row for each of them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.columns import Column, LogicalType, Table
from schemas.messages import EXAMPLE_KEY, LONGEST_TEXT
from schemas.moments import UtcMoment
from schemas.scores import SCORES

MOST_IN_JSON = 10_000  # customers or rows; a file may have more
MOST_ROWS = 100_000
MOST_COLUMNS = 1_000  # of a row
LARGEST_JSON = 1024 * 1024  # bytes
LARGEST_FILE = 4 * 1024 * 1024

Value = bool | int | float | Annotated[str, Field(max_length=LONGEST_TEXT)] | None


def _few_columns(row: Any) -> Any:
    """Before the columns are looked at, since to tell what is wrong with one takes two kilobytes."""
    if isinstance(row, dict) and len(row) > MOST_COLUMNS:
        raise ValueError(f"it has more than {MOST_COLUMNS} columns")
    return row


Row = Annotated[dict[str, Value], BeforeValidator(_few_columns)]
CustomerKey = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$")]


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"  # nobody works on it
    RUNNING = "running"
    DONE = "done"  # its result can be fetched
    FAILED = "failed"  # and is not tried again
    GONE = "gone"  # it was done or failed, and its files are kept no longer


ENDED = (State.DONE, State.FAILED, State.GONE)


class Given(StrEnum):
    """What a job was given."""

    CUSTOMERS = "customers"  # keys, whose rows are those of the newest published night
    ROWS = "rows"
    CSV = "csv"
    PARQUET = "parquet"


def _given(name: str) -> dict[str, Any]:
    """What JSON Schema says of an object that gives this list."""
    return {"required": [name], "properties": {name: {"type": "array"}}}


class JobAsked(BaseModel):
    """Whom to score: customers of the newest published night by key, or rows with the contract's columns."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
        json_schema_extra={
            "oneOf": [_given("customer_ids"), _given("rows")],
            "examples": [{"customer_ids": [EXAMPLE_KEY]}],
        },
    )

    # The first that is wrong is told alone: a caller chooses how many there are.
    customer_ids: list[CustomerKey] | None = Field(default=None, min_length=1, max_length=MOST_IN_JSON, fail_fast=True)
    rows: list[Row] | None = Field(default=None, min_length=1, max_length=MOST_IN_JSON, fail_fast=True)

    @model_validator(mode="after")
    def _one_of_both(self) -> JobAsked:
        if (self.customer_ids is None) == (self.rows is None):
            raise ValueError("give customer_ids or rows, one of them")
        return self


class JobShown(BaseModel):
    """How far a job is, and where its result is once it is done."""

    job: str = Field(description="Name of the job")
    state: State
    given: Given
    created_at: UtcMoment = Field(description="When it was asked for, UTC")
    rows: int | None = Field(description="Rows to score; null until they were read")
    done: int = Field(description="Rows that were scored or refused so far")
    progress: float = Field(description="Share of the rows that is done, 0 to 1")
    as_of: date | None = Field(description="Night whose customers are scored; null where rows were sent")
    ended_at: UtcMoment | None = Field(description="When it was done or failed, UTC")
    reason: str | None = Field(description="Why it failed")
    result: str | None = Field(description="Path of the result; null unless there is one")
    result_sha256: str | None = Field(description="sha256 of the result as Parquet")
    callback: str | None = Field(description="Address that is told of its end")
    call_result: str | None = Field(description="What came of telling it")


# What a score says of its customer alone: not his place in a base, nor where and when he was one of it.
_SCORED = tuple(
    Column(column.name, column.logical_type, column.description)
    for column in SCORES.columns
    if column.name not in ("as_of", "customer_id", "region", "percentile")
)

JOB_RESULTS = Table(
    name="job_result",
    description="One row for each that a job was given, in their order: a score with its reasons, or a problem",
    columns=(
        Column("row", LogicalType.INTEGER, "Place among what was given, from 1", required=True),
        Column("customer_id", LogicalType.STRING, "Key of the customer, as it was given"),
        Column("problem", LogicalType.STRING, "Why the row was not scored; null where it was"),
        *_SCORED,
    ),
)
