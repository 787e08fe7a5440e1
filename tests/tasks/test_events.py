"""What is told of the business: named, whole, and lost without harm where nobody listens."""

from __future__ import annotations

import logging
from datetime import date

import pytest
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.events import DRIFT_DETECTED, PAYLOADS, tell

DRIFT = {
    "contract": "telco", "as_of": date(2026, 1, 1), "subject": "usage", "why": "the list changed by 40 %",
    "to_do": "Retrain.", "remedy": "retraining",
}  # fmt: skip


def test_without_an_orchestrator_an_event_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    with temporary_settings({PREFECT_API_URL: None}), caplog.at_level(logging.INFO, "churn.events"):
        tell(DRIFT_DETECTED, about="telco", payload=DRIFT)
    assert "churn.drift.detected about telco" in caplog.text


def test_an_orchestrator_hears_of_whom_and_what_in_plain_words() -> None:
    AssertingEventsClient.reset()
    EventsWorker.set_client_override(AssertingEventsClient)
    try:
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
            tell(DRIFT_DETECTED, about="telco.prepaid", payload=DRIFT)
            EventsWorker.drain_all(timeout=10)
        [event] = AssertingEventsClient.all[-1].events
    finally:
        EventsWorker.set_client_override(None)  # type: ignore[arg-type]  # as it is before anybody sets it
    assert (event.event, event.resource.id) == ("churn.drift.detected", "churn.telco.prepaid")
    assert event.resource["churn.remedy"] == "retraining"
    assert event.payload == {**DRIFT, "as_of": "2026-01-01"}


def test_an_event_that_nobody_knows_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match=r"churn\.night\.lost is no event of ours"):
        tell("churn.night.lost", about="telco", payload=DRIFT)


@pytest.mark.parametrize("event", PAYLOADS)
def test_an_event_that_says_too_little_is_a_fault_of_the_program(event: str) -> None:
    with pytest.raises(ValueError, match=r"lacks .*contract"):
        tell(event, about="telco", payload={"more": 1})
