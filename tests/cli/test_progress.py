"""How a command ends that a person or a lost server stops half-way: with what readers see by then."""

from __future__ import annotations

import pytest

from churn.errors import OrchestratorUnreachable, Stopped
from cli.nights import flow_shown
from cli.terminal import terminal
from tasks.progress import begun, has_published


def test_ctrl_c_says_that_nothing_was_published() -> None:
    with pytest.raises(Stopped, match=r"^Nothing was published\.\n  Run the command again") as caught:
        with flow_shown(terminal()):
            begun("extract")
            raise KeyboardInterrupt
    assert caught.value.exit_code == 130


def test_ctrl_c_says_what_was_published_before() -> None:
    with pytest.raises(Stopped, match=r"^Published and there to stay: scores \(1,234 rows\)\."):
        with flow_shown(terminal()):
            has_published("scores", 1234)
            raise KeyboardInterrupt


def test_a_failure_says_what_was_published_before(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OrchestratorUnreachable), flow_shown(terminal()):
        begun("publish scores")
        has_published("scores", 1234)
        raise OrchestratorUnreachable("the orchestrator does not answer")
    told = capsys.readouterr()
    assert "Published and there to stay: scores (1,234 rows)." in told.err
    assert "publish scores" in told.out
    assert "1/1" in told.out
