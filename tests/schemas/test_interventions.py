"""What a team may write back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.interventions import CONTACTS, INTERVENTIONS, Event, Intervention

WRITTEN: dict[str, Any] = {
    "contract": "telco",
    "customer_id": "C7",
    "as_of": "2026-01-01",
    "action": "service_call",
    "channel": "call",
    "team": "north",
    "event": "reached",
    "agent": "a.miller",
    "occurred_at": "2026-01-02T09:30:00+01:00",
    "key": "dialler-1",
}


def test_a_write_back_is_read_as_it_was_sent() -> None:
    read = Intervention.model_validate(WRITTEN)
    assert read.event is Event.REACHED
    assert read.occurred_at.isoformat() == "2026-01-02T09:30:00+01:00"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", "phoned"),
        ("occurred_at", "2026-01-02T09:30:00"),  # of which zone?
        ("key", ""),
        ("customer_id", "   "),
        ("channel", "Call; DROP TABLE"),
        ("note", "he sounded cross"),  # free text about a person has no place here
    ],
)
def test_what_cannot_be_told_apart_or_told_at_all_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Intervention.model_validate(WRITTEN | {field: value})


@pytest.mark.parametrize("field", sorted(WRITTEN))
def test_nothing_may_be_left_out(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Intervention.model_validate({name: value for name, value in WRITTEN.items() if name != field})


def test_the_table_keeps_every_field_and_when_it_was_written_down() -> None:
    assert set(INTERVENTIONS.names) == set(Intervention.model_fields) | {"recorded_at"}


def test_every_column_says_what_it_is() -> None:
    assert all(column.description for table in (INTERVENTIONS, CONTACTS) for column in table.columns)
