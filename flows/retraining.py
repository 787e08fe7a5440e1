"""Trains a model on matured months and makes it champion, or leaves it waiting."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, unmapped

from flows.etl import take_in
from tasks import reports
from tasks import training as steps
from tasks.night import Candidate, Night
from tasks.parameters import AsOf, ContractName, KnownAt, Promote, Source
from tasks.runners import run_name, threads


@flow(name="retraining", flow_run_name=run_name, task_runner=threads())
def retraining(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    promote: Promote = True,
) -> Candidate:
    """Trains on what is known at the night's moment, registers, and promotes if asked to."""
    night = take_in(contract, as_of, known_at, source)
    candidate = train_model(night)
    if promote:
        steps.promote(night, candidate, "asked for by who started the run")
    return candidate


def train_model(night: Night) -> Candidate:
    """From the months that have matured to a registered model."""
    candidate = steps.train_candidate(night, gather_lessons(night))
    reports.show_model(night, candidate)
    return candidate


def gather_lessons(night: Night) -> list[Path]:
    """From a night's extract to files of customers with what became of them, one for each matured month."""
    months = steps.choose_months(night)
    return steps.gather_lesson.map(unmapped(night), unmapped(months), months).result()
