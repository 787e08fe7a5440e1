"""A retention policy: for how long published runs, and what they were made from, are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.policy import Name, Text

Count = Annotated[int, Field(ge=1, le=4_000)]


class Retention(BaseModel):
    """A versioned retention policy.

    `nights` are the newest nights of each base whose scores are kept, and `list_nights` those whose lists are; of
    `month_ends` months the last night is kept beyond them. A list that was sent stays until `sent_days` after its date,
    with all that its receipts ask for, and is a list like any other from then on. An earlier revision is kept
    `superseded_days` after another took its place, an extract `working_days` after it was written, and so is a snapshot
    whose list or scores are gone. Nothing younger than `grace_hours` goes, nor a run that readers saw so recently: one
    of them may still be at it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    description: Text
    nights: Count
    month_ends: Annotated[int, Field(ge=0, le=1_200)]
    list_nights: Count
    sent_days: Count = 1_096
    superseded_days: Annotated[int, Field(ge=0, le=4_000)]
    working_days: Count
    grace_hours: Annotated[int, Field(ge=1, le=1_000)]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
