"""Shows readers a night's earlier run once more."""

from __future__ import annotations

from prefect import flow

from tasks import rollback as steps
from tasks.night import Result
from tasks.parameters import RunId
from tasks.runners import dated


@flow(name="rollback", flow_run_name=dated("to run {run}"))
def rollback(run: RunId) -> Result:
    """Publishes a kept run again as its night's next revision; who reads newer nights sees no change."""
    return steps.take_back(run)
