"""Removes old runs from the orchestrator's own history."""

from __future__ import annotations

from prefect import flow

from tasks import cleaning as steps
from tasks.parameters import KeepDays
from tasks.runners import dated


@flow(name="cleaning", flow_run_name=dated("what ended over {keep_days} days ago"))
def cleaning(keep_days: KeepDays = 30) -> int:
    """Keeps the last days of finished runs, with their logs and artifacts; nights themselves lie elsewhere."""
    return steps.remove_old_runs(keep_days)
