"""Which failures of a step are worth another try."""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from churn.errors import ChurnError, SourceMissing, SourceUnreachable


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether the failure may be gone a moment later: not where its cause is known, unless a source did not answer."""
    failure = state.data
    if isinstance(failure, SourceUnreachable):
        return not isinstance(failure, SourceMissing)
    return not isinstance(failure, ChurnError)
