"""Takes a night back to an earlier run."""

from __future__ import annotations

from store.publication import open_publisher
from store.rollback import roll_back
from store.settings import current_settings
from tasks.night import Result
from tasks.progress import has_published
from tasks.publishing import result_of
from tasks.step import LATER, step


@step("take a night back to run {run}", again_after=LATER)
def take_back(run: str) -> Result:
    """Publishes the run's rows once more, unless readers see them already."""
    shown = result_of(roll_back(open_publisher(current_settings()), run), new=True)
    has_published(shown.kind, shown.rows)
    return shown
