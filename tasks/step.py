"""A step of a flow: a Prefect task that never reuses a result, and is tried again only where that may help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from churn.errors import ChurnError, SourceMissing, SourceUnreachable, StoreUnreachable

P = ParamSpec("P")
R = TypeVar("R")

# Seconds to wait before each further try.
SOON = (2, 2)  # a file system or a small query
LATER = (2, 10, 30)  # a database or a source that may have to come back


def step(name: str, *, again_after: tuple[int, ...] = ()) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Makes a function a task whose runs are called `name`, which may hold parameters in braces.

    Without NO_CACHE Prefect would hash every parameter to look for an earlier result.
    """
    return task(
        task_run_name=name,
        retries=len(again_after),
        retry_delay_seconds=list(again_after),
        retry_condition_fn=may_pass,
        cache_policy=NO_CACHE,
    )


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether the failure may be gone a moment later: not where its cause is known, unless somebody did not answer."""
    failure = state.data
    if isinstance(failure, SourceUnreachable | StoreUnreachable):
        return not isinstance(failure, SourceMissing)
    return not isinstance(failure, ChurnError)
