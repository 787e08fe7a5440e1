"""How a command ends that a person or a lost server stops half-way: with what readers see by then."""

from __future__ import annotations

import pytest

from churn.errors import OrchestratorUnreachable, Stopped
from cli.nights import flow_shown
from cli.terminal import terminal
from tasks.progress import begun, has_published


def a_flow(*published: int, end: BaseException) -> None:
    """Publishes scores so many times, of so many rows each, and ends."""
    begun("publish scores")
    for rows in published:
        has_published("scores", rows)
    raise end


def test_ctrl_c_says_that_nothing_was_published() -> None:
    told = r"^Nothing was published\.\n  Run the command again"
    with pytest.raises(Stopped, match=told) as caught, flow_shown(terminal()):
        a_flow(end=KeyboardInterrupt())
    assert caught.value.exit_code == 130


def test_ctrl_c_says_what_was_published_before() -> None:
    told = r"^Published and there to stay: scores \(1,234 rows\)\."
    with pytest.raises(Stopped, match=told), flow_shown(terminal()):
        a_flow(1234, end=KeyboardInterrupt())


def test_a_failure_says_what_was_published_before(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OrchestratorUnreachable), flow_shown(terminal()):
        a_flow(1234, end=OrchestratorUnreachable("the orchestrator does not answer"))
    told = capsys.readouterr()
    assert "Published and there to stay: scores (1,234 rows)." in told.err
    (step,) = (line for line in told.out.splitlines() if "publish scores" in line)
    assert "1/1" in step
