"""Records a night's failure that no run has claimed yet, so that `night_status` shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from churn.errors import (
    AlreadyRunning,
    AuditFailed,
    ChurnError,
    Fenced,
    QualityError,
    RequestError,
    SourceEmpty,
    SourceMismatch,
    SourceStale,
)
from store.claims import Unit
from store.publication import open_publisher
from store.settings import current_settings

# What was wrong with what came in or went out; all else went wrong on the way.
REFUSALS = (QualityError, AuditFailed, SourceMismatch, SourceEmpty, SourceStale)
OF_NO_NIGHT = (RequestError, AlreadyRunning, Fenced)  # a slip of who asked, or the business of another run
TOLD = "night_status tells of it"


@contextmanager
def failures_recorded(unit: Unit | None, *, begun: bool = True) -> Iterator[None]:
    """Records a failure inside, once. None: nobody knows which night it is.

    What is refused before anything has `begun` may be a slip of who asked, and no failure of a night that is published.
    """
    try:
        yield
    except BaseException as failure:
        if unit is not None and TOLD not in getattr(failure, "__notes__", ()):
            _record(unit, failure, begun=begun)
        raise


def in_words(failure: BaseException) -> str:
    """What went wrong, and where: one of ours in its own words, any other by its first line."""
    if isinstance(failure, ChurnError):
        return f"{failure.where}: {failure.what}" if failure.where else failure.what
    return f"{type(failure).__name__} {failure}".partition("\n")[0]


def _record(unit: Unit, failure: BaseException, *, begun: bool) -> None:
    """Leaves a run that failed; where that cannot be done either, the failure itself matters more."""
    if isinstance(failure, OF_NO_NIGHT):
        return
    state = "rejected" if isinstance(failure, REFUSALS) else "failed"
    with suppress(ChurnError, SQLAlchemyError, OSError):
        publisher = open_publisher(current_settings())
        if begun or publisher.published(unit.contract, unit.kind, unit.as_of) is None:
            publisher.record_failure(unit, in_words(failure), state)
            failure.add_note(TOLD)
