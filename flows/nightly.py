"""The product: each night the base goes in, scores and an outreach list come out."""

from __future__ import annotations

from prefect import flow

from flows.etl import take_in
from flows.monitoring import look_after
from flows.outreach import decide_list
from flows.retraining import gather_lessons, train_first
from flows.scoring import score_base
from tasks import intake, promotion, publishing, reports, training
from tasks import outreach as policies
from tasks.night import Summary
from tasks.parameters import FOR_THE_LIST, AsOf, ContractName, Evaluate, Force, KnownAt, PolicyName, Reasons, Source
from tasks.runners import run_name, threads
from tasks.step import tried_again_where_it_may_help


@flow(name="nightly", flow_run_name=run_name, task_runner=threads())
def nightly(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    policy: PolicyName = None,
    force: Force = False,
    evaluate: Evaluate = False,
    reasons: Reasons = FOR_THE_LIST,
) -> Summary:
    """Takes the base in, checks it, scores it with reasons, and decides whom to contact."""
    with tried_again_where_it_may_help():
        with publishing.failures_recorded(intake.unit_asked_for(contract, as_of, known_at), begun=False):
            rules = policies.policy_in_force(contract, policy)
        night = take_in(contract, as_of, known_at, source)
        with publishing.failures_recorded(night):
            if not training.has_champion(night):
                promotion.promote_first(night.base, train_first(night, training.course_of()))
        scores = score_base(night, reasons, force=force)
        outreach = decide_list(night, scores, rules, force=force)
        look_after(night, scores)
        evaluation = training.cross_validated(night, gather_lessons(night)) if evaluate else None
        return reports.report_night(night, scores, outreach, evaluation)
