"""Scores past nights again, or for the first time, the oldest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial

from prefect import flow

from flows.etl import build_base
from flows.monitoring import look_after
from flows.outreach import decide_list
from flows.scoring import score_with
from tasks import backfill as steps
from tasks import checks, intake, publishing
from tasks import outreach as policies
from tasks.parameters import (
    FOR_THE_LIST,
    THEN,
    ContractName,
    First,
    Force,
    KnownAt,
    Last,
    Lists,
    Model,
    PolicyName,
    Reasons,
    Source,
)
from tasks.runners import threads


@flow(name="backfill", flow_run_name=steps.range_name, task_runner=threads())
def backfill(
    first: First,
    last: Last,
    contract: ContractName = "telco",
    known_at: KnownAt = None,
    source: Source = None,
    model: Model = THEN,
    lists: Lists = False,
    policy: PolicyName = None,
    force: Force = False,
    reasons: Reasons = FOR_THE_LIST,
) -> tuple[steps.Outcome, ...]:
    """Scores each night of a range with the facts of a moment; what readers of newer nights see stays as it is."""
    rules = policies.policy_in_force(contract, policy)
    plan = steps.nights_asked_for(contract, first, last, known_at)
    listed = plan.nights if lists else ()
    plan = replace(plan, model=model, reasons=reasons, force=force, listed=listed)
    return score_nights(plan, source, rules)


def score_nights(plan: steps.Plan, source: str | None, policy: str) -> tuple[steps.Outcome, ...]:
    """All nights of the plan from one extract; where one fails, the others go on."""
    checks.warm_up()
    extract = intake.extract_source(plan.contract, source)
    outcomes = [steps.attempted(as_of, partial(score_night, plan, extract, policy)) for as_of in plan.nights]
    return steps.tell(plan, outcomes)


def score_night(plan: steps.Plan, extract: steps.Extract, policy: str, as_of: date) -> steps.Outcome:
    """One night of the plan: scores, and a list only where one is wanted and never was.

    Today's is looked after as `nightly` does; who watched the older ones would raise alarms of days gone by.
    """
    kept = steps.kept(plan, as_of)
    if kept is not None:
        return kept
    night = intake.open_night(plan.contract, str(as_of), plan.known_at, extract)
    with publishing.failures_recorded(night):
        build_base(night)
        scores = score_with(night, steps.champions_for(night, plan), force=plan.force)
    listed = decide_list(night, scores, policy) if steps.may_get_a_list(night, plan) else None
    if listed is not None and steps.is_todays(night):
        look_after(night, scores)
    return steps.outcome_of(night, scores, listed)
