"""Finds out whether a run that fell silent is dead."""

from __future__ import annotations

from prefect import flow

from tasks import silence as steps
from tasks.parameters import FlowRun, Patience


@flow(name="silence", flow_run_name="of run {flow_run}")
def silence(flow_run: FlowRun, patience: Patience = 75) -> bool:
    """Whether it was dead; if so it is marked as crashed and taken over, or begins anew where it had not begun."""
    return steps.end_if_dead(flow_run, patience)
