"""What follows a publication: it may fail, and the night stays published, but never unheard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.events import NIGHT_UNFOLLOWED, tell
from tasks.night import Night
from tasks.progress import warned


@contextmanager
def told_where_it_fails(night: Night, what: str) -> Iterator[None]:
    """Tells the log and whoever is to be notified that this could not be done, whatever the reason; then goes on.

    Readers see the night already, so that no fault of ours is worth failing it for, and each night would hide the same
    one again, such as a right that the database's user lacks, if only the log heard of it.
    """
    try:
        yield
    except Exception as failure:
        why = f"{what}: {type(failure).__name__} {failure}"
        warned(f"The night is published, and {why}")
        tell(NIGHT_UNFOLLOWED, about=night.base, payload={"contract": night.contract, "as_of": night.as_of, "why": why})
