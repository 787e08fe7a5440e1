"""Scores the base with reasons and publishes the scores."""

from __future__ import annotations

from prefect import flow, unmapped

from flows.etl import take_in
from tasks import checks, publishing, reports
from tasks import scoring as steps
from tasks.night import Champions, Night, Result
from tasks.parameters import FOR_THE_LIST, AsOf, ContractName, Force, KnownAt, Reasons, Source
from tasks.runners import run_name, threads


@flow(name="scoring", flow_run_name=run_name, task_runner=threads())
def scoring(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    force: Force = False,
    reasons: Reasons = FOR_THE_LIST,
) -> Result:
    """Takes the base in and publishes its scores; writes no list."""
    return score_base(take_in(contract, as_of, known_at, source), reasons, force=force)


def score_base(night: Night, reasons: str, *, force: bool = False) -> Result:
    """From a snapshot to published scores; the same scores are published once."""
    with publishing.failures_recorded(night):
        return score_with(night, steps.pin_champions(night, reasons), force=force)


def score_with(night: Night, champions: Champions, *, force: bool = False) -> Result:
    """The same with champions that are pinned already."""
    claim = publishing.claim_scores(night, champions, force)
    if publishing.is_published(claim):
        return publishing.result_of(claim, new=False)
    scores = publish_scores(night, champions, claim)
    reports.show_scores(night, champions, scores)
    return scores


def publish_scores(night: Night, champions: Champions, claim: publishing.Claim) -> Result:
    """From the right to publish to scores that readers see."""
    with publishing.held(claim) as folder:
        drafts = steps.drafts(night, claim.content_key)
        steps.score_bucket.map(unmapped(champions), unmapped(night), unmapped(drafts), night.every_bucket).result()
        edges = steps.draw_percentiles(night, drafts)
        ready = unmapped(edges), unmapped(drafts), unmapped(folder), unmapped(night)
        steps.finish_bucket.map(*ready, night.every_bucket).result()
        publishing.stage_quarantine(night, folder)
        checks.check_scores(night, folder / publishing.SCORES, champions)
        shown = publishing.publish(claim)
    steps.forget(drafts)
    return shown
