"""Trains candidates on matured months, lets the gate judge them, and promotes those that pass, or asks."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, unmapped

from flows.etl import build_base, open_base
from tasks import labels, lift, promotion
from tasks import model_reports as reports
from tasks import training as steps
from tasks.night import Candidate, Course, Night, Retraining
from tasks.parameters import (
    ASK,
    AUTO,
    AsOf,
    ContractName,
    EmbargoDays,
    EstimatorKind,
    Explanation,
    GateName,
    KnownAt,
    PerSegment,
    Promote,
    SampledRows,
    Source,
    TestAsOf,
)
from tasks.runners import run_name, threads


@flow(name="retraining", flow_run_name=run_name, task_runner=threads())
def retraining(
    contract: ContractName = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    estimator: EstimatorKind = "scorecard",
    per_segment: PerSegment = True,
    promote: Promote = AUTO,
    gate: GateName = "default",
    explanation: Explanation = "",
    embargo_days: EmbargoDays = None,
    test_as_of: TestAsOf = None,
    sampled_rows: SampledRows = None,
) -> Retraining:
    """Trains on what is known at the night's moment, judges, registers, and promotes as asked."""
    learning = steps.learning_of(embargo_days, test_as_of, sampled_rows)
    course = steps.course_of(estimator, gate, explanation, learning)
    night = build_base(open_base(contract, as_of, known_at, source))  # of which nothing is published
    lessons = gather_lessons(night)
    course = labels.say_who_was_called(night, lift.keep_waves(contract), lessons, course)
    if per_segment:
        course = steps.choose_segments(night, lessons, course)
    whole = steps.train_candidate(night, lessons, course)
    beside = course.beside(whole)
    candidates = [whole, *(steps.train_candidate(night, lessons, beside, segment) for segment in course.segments)]
    promoted = promotion.promote_passed(night.base, candidates, gate) if promote == AUTO else ()
    if promote == ASK:
        reports.ask_for_approval(night, candidates)
    return reports.report_training(night, course, candidates, promoted)


def train_first(night: Night, course: Course) -> Candidate:
    """The first model of a base, which has nobody to be compared with."""
    candidate = steps.train_candidate(night, gather_lessons(night), course)
    reports.show_candidate(night, candidate)
    return candidate


def gather_lessons(night: Night) -> list[Path]:
    """From a night's extract to files of customers with what became of them, one for each matured month."""
    months = steps.choose_months(night)
    return steps.gather_lesson.map(unmapped(night), unmapped(months), months).result()
