"""What a team writes back of one contact, as tests say it differs from an ordinary one."""

from __future__ import annotations

from datetime import date
from typing import Any

from schemas.interventions import Event, Intervention


def contact(as_of: date, **changes: Any) -> Intervention:
    """That somebody reached a customer by phone the day after his list, but for the changes."""
    ordinary = {
        "contract": "telco",
        "customer_id": "C00001",
        "as_of": as_of,
        "action": "call",
        "channel": "phone",
        "team": "north",
        "event": Event.REACHED,
        "agent": "Ada",
        "occurred_at": f"{as_of:%Y-%m}-{as_of.day + 1:02d}T10:00:00+00:00",
        "key": "1",
    }
    return Intervention.model_validate(ordinary | changes)
