"""Measures what the outreach lists saved, against those who were held out."""

from __future__ import annotations

from prefect import flow

from tasks import intake
from tasks import lift as steps
from tasks.lift import Measured
from tasks.parameters import AsOf, ContractName, KnownAt, PolicyName, Source
from tasks.runners import run_name, threads


@flow(name="outcomes", flow_run_name=run_name, task_runner=threads())
def outcomes(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    policy: PolicyName = None,
) -> Measured:
    """Compares every wave whose horizon is over; `as_of` chooses the one to be told of, else all are."""
    waves = steps.keep_waves(contract)
    extract = intake.extract_source(contract, source)
    return steps.show_lift(steps.measure(contract, waves, extract, known_at, policy), as_of)
