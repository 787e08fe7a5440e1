"""What a run says whose orchestrator is lost: nothing that Prefect raises reaches a person as it stands."""

from __future__ import annotations

import logging

import httpx
import pytest

from churn.errors import ChurnError, OrchestratorUnreachable, QualityError
from tasks.orchestrator import orchestrator_in_words, worth_no_failure

ASKED = httpx.Request("POST", "http://prefect/api/artifacts/")
LOST = httpx.ConnectError("All connection attempts failed")
NEVER_THERE = RuntimeError("Failed to reach API at http://127.0.0.1:4200/api/")
NOT_STARTED = RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server.")
ILL = httpx.HTTPStatusError("500", request=ASKED, response=httpx.Response(500, request=ASKED))
REFUSED = httpx.HTTPStatusError("422", request=ASKED, response=httpx.Response(422, request=ASKED))


@pytest.mark.parametrize("failure", [LOST, NEVER_THERE, NOT_STARTED, ILL], ids=repr)
def test_an_orchestrator_that_does_not_answer_is_an_error_of_the_family(failure: Exception) -> None:
    told = r"orchestrator .*does not answer\n  .*PREFECT_API_URL"
    with pytest.raises(OrchestratorUnreachable, match=told), orchestrator_in_words():
        raise failure


@pytest.mark.parametrize("failure", [REFUSED, RuntimeError("a fault of the program")], ids=repr)
def test_any_other_failure_stays_what_it_is(failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught, orchestrator_in_words():
        raise failure
    assert caught.value is failure
    with pytest.raises(type(failure)), worth_no_failure("the list"):
        raise failure


@pytest.mark.parametrize("stop", [QualityError("minutes are seconds"), KeyboardInterrupt()], ids=repr)
def test_what_stopped_the_run_is_told_before_that_nobody_heard_of_it(stop: ChurnError | KeyboardInterrupt) -> None:
    with pytest.raises(type(stop)) as caught, orchestrator_in_words():
        stopped_and_unheard(stop)
    assert caught.value is stop


def stopped_and_unheard(stop: BaseException) -> None:
    """As Prefect does where it cannot report a state."""
    try:
        raise stop
    except BaseException:
        raise LOST  # noqa: B904  # the stop is left as its context


def test_a_page_that_the_orchestrator_does_not_take_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), worth_no_failure("the top of the list"):
        raise LOST
    assert "does not show the top of the list; the run goes on" in caplog.text
