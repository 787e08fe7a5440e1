"""Takes a night back to an earlier run."""

from __future__ import annotations

from store.publication import open_publisher
from store.rollback import roll_back
from store.runs import published_runs
from store.settings import current_settings
from tasks.night import Result
from tasks.progress import has_published
from tasks.publishing import result_of
from tasks.step import LATER, step


@step("take a night back to run {run}", again_after=LATER)
def take_back(run: str) -> Result:
    """Publishes the run's rows once more, unless readers see them already."""
    publisher = open_publisher(current_settings())
    seen = {one.run_id for one in published_runs(publisher) if one.shown}
    back = roll_back(publisher, run)
    shown = result_of(back, new=back.run_id not in seen)
    if shown.new:
        has_published(shown.kind, shown.rows)
    return shown
