"""Tells when today's scores are not published although they are due."""

from __future__ import annotations

from prefect import flow

from tasks import lateness as steps
from tasks.parameters import AsOf, ContractName
from tasks.runners import run_name


@flow(name="lateness", flow_run_name=run_name)
def lateness(contract: ContractName = "telco", as_of: AsOf = None) -> bool:
    """Whether the night is late; if it is, those who are to be notified hear of it."""
    return steps.tell_if_late(contract, as_of)
