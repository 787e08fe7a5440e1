"""What becomes of a run whose orchestrator does not answer: an error, or a warning where only a page is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty

import httpx
from prefect._internal.concurrency.services import _active_services
from prefect.settings import PREFECT_API_URL

from churn.errors import ChurnError, OrchestratorUnreachable
from store.source_names import source_name
from tasks.progress import warned

# How the RuntimeErrors begin that Prefect raises for a server that it cannot reach, or that it started in vain.
UNANSWERED = ("Failed to reach API", "Timed out while attempting to connect to ephemeral")


@contextmanager
def orchestrator_in_words() -> Iterator[None]:
    """Turns Prefect's failure to reach its server into OrchestratorUnreachable.

    Where the flow had failed or was stopped, and only could not report it, that is raised instead.
    """
    try:
        yield
    except Exception as failure:
        if not is_unanswered(failure):
            raise
        _forget_what_was_not_told()
        raise _stop_before(failure) or _unreachable() from None


@contextmanager
def worth_no_failure(page: str) -> Iterator[None]:
    """Warns where the orchestrator does not take a page that people would have seen of the run, and goes on."""
    try:
        yield
    except (httpx.HTTPError, RuntimeError) as failure:
        if not is_unanswered(failure):
            raise
        warned(f"The orchestrator does not answer, so it does not show {page}; the run goes on.")


def is_unanswered(failure: BaseException) -> bool:
    """Whether Prefect could not reach its server, or the server failed to answer."""
    if isinstance(failure, httpx.HTTPStatusError):
        return failure.response.is_server_error
    return isinstance(failure, httpx.TransportError) or str(failure).startswith(UNANSWERED)


def _forget_what_was_not_told() -> None:
    """Drops what waits for the lost server: Prefect would try every event for ten seconds before it lets go at exit.

    Prefect has no setting for it, so that this looks into its queues.
    """
    for service in tuple(_active_services):
        with suppress(Empty):
            while True:
                service._queue.get_nowait()


def _stop_before(failure: BaseException) -> BaseException | None:
    """What was being handled when the report of it failed; None where nothing was."""
    before = failure.__cause__ or failure.__context__
    while before is not None and not isinstance(before, ChurnError | KeyboardInterrupt):
        before = before.__cause__ or before.__context__
    return before


def _unreachable() -> OrchestratorUnreachable:
    url = PREFECT_API_URL.value()
    if url:
        return OrchestratorUnreachable(
            "the orchestrator does not answer",
            where=f"PREFECT_API_URL {source_name(url)}",
            to_do="Start it (`prefect server start`), or unset PREFECT_API_URL: then the command starts its own.",
        )
    return OrchestratorUnreachable(
        "the orchestrator that this command started does not answer",
        to_do="Run the command again when the machine is less busy, or set PREFECT_API_URL to a server that stands.",
    )
