"""Removes the runs, and what they were made from, that the retention policy keeps no longer."""

from __future__ import annotations

from prefect import flow

from tasks import retention as steps
from tasks.parameters import DryRun, RetentionName
from tasks.runners import dated


@flow(name="retention", flow_run_name=dated("by the policy {policy}"))
def retention(policy: RetentionName = "default", dry_run: DryRun = False) -> steps.Cleared:
    """Clears the lake and the tables; what readers of the newest night see stays, and so do lists that were used."""
    return steps.clear(policy, dry_run=dry_run)
