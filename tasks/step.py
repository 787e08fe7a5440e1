"""A step of a flow: a Prefect task that never reuses a result, and is tried again only where that may help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext

from churn.errors import AlreadyRunning, ChurnError, SourceMissing, SourceUnreachable, StoreUnreachable
from tasks.orchestrator import worth_no_failure

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
    return _may_be_gone(state.data)


@contextmanager
def tried_again_where_it_may_help() -> Iterator[None]:
    """Lets a flow whose deployment tries it again end at once where its failure would only come again.

    Another run that holds the night may be dead, and its lease is over by the next try. Prefect has no condition for
    the retries of a flow (3.8.8), so that this takes them away from the run.
    """
    try:
        yield
    except Exception as failure:
        if not isinstance(failure, AlreadyRunning) and not _may_be_gone(failure):
            _give_up()
        raise


def _may_be_gone(failure: object) -> bool:
    if isinstance(failure, SourceUnreachable | StoreUnreachable):
        return not isinstance(failure, SourceMissing)
    return not isinstance(failure, ChurnError)


@worth_no_failure("that this run needs no further try")
def _give_up() -> None:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run and run.empirical_policy.retries:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run.id, empirical_policy=run.empirical_policy.model_copy(update={"retries": 0}))
