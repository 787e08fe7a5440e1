"""Decides whom to contact and publishes the list."""

from __future__ import annotations

from prefect import flow

from flows.etl import take_in
from flows.scoring import score_base
from tasks import intake, publishing, reports
from tasks import outreach as steps
from tasks.night import Night, Result
from tasks.parameters import FOR_THE_LIST, AsOf, ContractName, Force, KnownAt, PolicyName, Reasons, Source
from tasks.runners import run_name, threads


@flow(name="outreach", flow_run_name=run_name, task_runner=threads())
def outreach(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    policy: PolicyName = None,
    force: Force = False,
    reasons: Reasons = FOR_THE_LIST,
) -> Result:
    """Decides the list of a night; its scores are published first where they are not yet."""
    with publishing.failures_recorded(intake.unit_asked_for(contract, as_of, known_at), begun=False):
        rules = steps.policy_in_force(contract, policy)
    night = take_in(contract, as_of, known_at, source)
    return decide_list(night, score_base(night, reasons), rules, force=force)


def decide_list(night: Night, scores: Result, policy: str, *, force: bool = False) -> Result:
    """From published scores to a published list; the same list is published once."""
    claim = publishing.claim_list(night, scores, policy, force)
    if publishing.is_published(claim):
        return publishing.result_of(claim, new=False)
    with publishing.held(claim) as folder:
        steps.decide(night, scores, policy, folder)
        listed = publishing.publish(claim)
    reports.show_list(night, listed)
    return listed
