"""Tells the orchestrator what happened in the business, so that its automations may act on it.

An event is fire and forget: nobody waits for it, and one that is lost fails nothing. What must happen whatever becomes
of an event is also a row in a table of ours: of publications, of failures, of alarms, of moves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from prefect import runtime
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

NIGHT_PUBLISHED = "churn.night.published"
NIGHT_LATE = "churn.night.late"
NIGHT_UNFOLLOWED = "churn.night.unfollowed"
QUALITY_FAILED = "churn.quality.failed"
DRIFT_DETECTED = "churn.drift.detected"
MODEL_PROMOTED = "churn.model.promoted"
PARITY_BROKEN = "churn.parity.broken"

# What each event's payload says at least; automations.yaml reads these names. Any more is welcome.
PAYLOADS: Mapping[str, frozenset[str]] = {
    NIGHT_PUBLISHED: frozenset({"contract", "as_of", "run_id", "rows"}),
    NIGHT_LATE: frozenset({"contract", "as_of", "why"}),
    NIGHT_UNFOLLOWED: frozenset({"contract", "as_of", "why"}),
    QUALITY_FAILED: frozenset({"contract", "as_of", "why"}),
    DRIFT_DETECTED: frozenset({"contract", "as_of", "subject", "why", "to_do", "remedy"}),
    MODEL_PROMOTED: frozenset({"contract", "segment", "version"}),
    PARITY_BROKEN: frozenset({"contract", "as_of", "why"}),
}
# What of them the event's resource says, too, since automations choose by it alone; automations.yaml reads these.
LABELS: Mapping[str, tuple[str, ...]] = {DRIFT_DETECTED: ("remedy",)}
LOGGER = logging.getLogger("churn.events")


def tell(event: str, *, about: str, payload: Mapping[str, object]) -> None:
    """Tells of an event about a thing, such as `telco` or `telco.prepaid`: automations cool down for each by itself.

    Without an orchestrator it is only logged. ValueError for an event that is not in PAYLOADS, or says too little.
    """
    _require_whole(event, payload)
    said = {name: _plain(value) for name, value in payload.items()}
    LOGGER.info("%s about %s: %s", event, about, said)
    # Prefect would start a server of its own to take the event where there is none.
    if runtime.flow_run.id or PREFECT_API_URL.value():
        labels = {f"churn.{name}": str(said[name]) for name in LABELS.get(event, ())}
        resource = {"prefect.resource.id": f"churn.{about}", "prefect.resource.name": about}
        emit_event(event, resource=resource | labels, payload=said)


def _require_whole(event: str, payload: Mapping[str, object]) -> None:
    if event not in PAYLOADS:
        raise ValueError(f"{event} is no event of ours; those are {', '.join(PAYLOADS)}")
    missing = PAYLOADS[event] - payload.keys()
    if missing:
        raise ValueError(f"the payload of {event} lacks {', '.join(sorted(missing))}")


def _plain(value: object) -> object:
    """As JSON has it: dates, moments and paths as text."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
