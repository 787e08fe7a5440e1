"""Moments as messages tell them: the database's own are UTC and say so, the business's are what its clocks showed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema


def _said_to_be_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


UtcMoment = Annotated[datetime, AfterValidator(_said_to_be_utc)]  # kept without a zone, told with one
# JSON Schema's date-time wants a zone, which a moment of business time has none of.
BusinessMoment = Annotated[
    datetime, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$"})
]
