"""Measures what the outreach lists saved, against those who were held out, and learns whom to contact for what."""

from __future__ import annotations

from prefect import flow

from tasks import intake, uplift
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
    """Compares every wave whose horizon is over; `as_of` chooses the one to be told of, else all are.

    Where the lot shows that it pays, lists leave those alone from then on whom an action drives away.
    """
    steps.require_wave(as_of)
    waves = steps.keep_waves(contract)
    extract = intake.extract_source(contract, source)
    measured = steps.measure(contract, waves, extract, known_at, policy)
    learnt = uplift.learn(contract, waves, extract, known_at, policy)
    uplift.show_uplift(contract, learnt)
    return steps.show_lift(measured.with_learnt(learnt), as_of)
