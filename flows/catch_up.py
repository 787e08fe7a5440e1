"""Scores the nights that were missed while nothing ran."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow

from flows.backfill import score_nights
from tasks import backfill as steps
from tasks import outreach as policies
from tasks.parameters import FOR_THE_LIST, ContractName, PolicyName, Reasons, Source, Until
from tasks.runners import threads


@flow(name="catch-up", flow_run_name=steps.until_name, task_runner=threads())
def catch_up(
    contract: ContractName = "telco",
    until: Until = None,
    source: Source = None,
    policy: PolicyName = None,
    reasons: Reasons = FOR_THE_LIST,
) -> tuple[steps.Outcome, ...]:
    """Scores the nights that were never published, the oldest first; today's alone gets a list."""
    rules = policies.policy_in_force(contract, policy)
    plan = replace(steps.nights_missed_by(contract, until), reasons=reasons)
    return score_nights(plan, source, rules) if plan.nights else ()
