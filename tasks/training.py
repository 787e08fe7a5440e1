"""Trains candidates on matured months, judges each against the champion of its place, and registers them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaign import PUBLISHED, Campaign, campaign_of
from churn.errors import NoChampion
from churn.evaluation import cross_validate
from churn.metrics import Evaluation
from churn.night import date_of, matured_months
from churn.segments import ALL
from churn.snapshot import TrainingWindow
from churn.training import AS_OF, Trained, TrainingPlan, labels_of, segments_to_train, train
from churn.training.calibration import stood_for
from schemas.contract import Contract
from schemas.manifest import ModelKind
from store.artifacts import model_folder, model_of, save_model
from store.code import code_digest
from store.contracts import read_contract
from store.gates import DEFAULT, read_gate
from store.lake import read_parquet, write_parquet
from store.policies import policy_for, read_policy
from store.registry import Version, open_registry
from store.settings import current_settings
from store.signatures import require_trust
from store.snapshots import first_as_of, training_rows
from tasks.judging import Judgement, judged
from tasks.labels import lessons_of
from tasks.night import Candidate, Course, Learning, Night
from tasks.progress import begun, part_done
from tasks.step import LATER, SOON, step

STEP = "gather what months teach"

log = logging.getLogger(__name__)


@step("is there a champion of {night.base}", again_after=LATER)
def has_champion(night: Night) -> bool:
    """Whether somebody holds the place."""
    try:
        open_registry(current_settings()).resolve(night.base)
    except NoChampion:
        return False
    return True


@step("read the gate {gate}")
def course_of(
    estimator: ModelKind = "scorecard", gate: str = DEFAULT, explanation: str = "", learning: Learning | None = None
) -> Course:
    """How candidates are trained and judged; refused before any work where no model could be kept, or judged."""
    require_trust(current_settings(), to_sign=True)
    read_gate(gate)
    return Course(estimator, gate, explanation, learning or Learning())


@step("read how to learn")
def learning_of(embargo_days: int | None, test_as_of: str | None, sampled_rows: int | None) -> Learning:
    """What was chosen about how candidates learn."""
    return Learning(embargo_days, date_of(test_as_of, "test_as_of") if test_as_of else None, sampled_rows)


@step("choose the months")
def choose_months(night: Night) -> tuple[date, ...]:
    """The dates whose labels have matured by the night's moment, oldest first; a flat table has one date alone."""
    contract = read_contract(night.contract)
    if contract.flat:
        return (night.as_of,)
    first = first_as_of(night.extract, contract)
    return matured_months(night.known_at, first=first, horizon_days=contract.horizon_days)


@step("learn from {as_of}", again_after=SOON)
def gather_lesson(night: Night, as_ofs: tuple[date, ...], as_of: date) -> Path:
    """Writes one date's customers, as they were known when it began, with what became of them."""
    path = night.snapshot.with_name(f"{night.snapshot.name}-lessons") / f"{as_of}.parquet"
    if not path.exists():
        window = TrainingWindow((as_of,), night.known_at)
        write_parquet(training_rows(night.extract, read_contract(night.contract), window), path)
    part_done(STEP, len(as_ofs))
    return path


@step("choose whom to train for")
def choose_segments(night: Night, lessons: Sequence[Path], course: Course) -> Course:
    """The course for each segment with churners enough as well; the others are named in log and card."""
    contract = read_contract(night.contract)
    rows = lessons_of(lessons, contract, course)
    segments, fallbacks = segments_to_train(rows, contract, plan_of(course, contract, ALL))
    for one in fallbacks:
        log.info("no model of its own for %s: %d churners, %d are needed", one.segment, one.churners, one.needed)
    return replace(course, segments=segments, fallbacks=fallbacks)


@step("train for {segment}")
def train_candidate(night: Night, lessons: Sequence[Path], course: Course, segment: str = ALL) -> Candidate:
    """Trains, registers and judges a candidate for the segment's place; nobody is promoted."""
    begun(f"train for {segment}")
    settings, contract = current_settings(), read_contract(night.contract)
    rows = lessons_of(lessons, contract, course)
    trained = train(rows, contract, plan_of(course, contract, segment, _campaign(rows, contract)))
    if segment == ALL:
        trained = replace(trained, fallbacks=course.fallbacks)
    model = model_of(trained, contract, f"{version('churn')}+{code_digest()[:12]}")
    registry = open_registry(settings)
    kept = registry.version(contract.name, registry.register(contract.name, save_model(model, settings)))
    return _candidate(trained, kept, judged(trained, kept, contract, course))


@step("cross-validate")
def cross_validated(night: Night, lessons: list[Path]) -> Evaluation:
    """Mean figures of five stratified folds, seed 42."""
    begun("cross-validate")
    return cross_validate(read_parquet(lessons), read_contract(night.contract))


def plan_of(course: Course, contract: Contract, segment: str, campaign: Campaign = PUBLISHED) -> TrainingPlan:
    """The plan of the course for a segment, with the contract's embargo where none was asked for."""
    asked, plan = course.learning, TrainingPlan(kind=course.estimator, segment=segment, campaign=campaign)
    return replace(
        plan,
        embargo_days=contract.training.embargo_days if asked.embargo_days is None else asked.embargo_days,
        test_as_of=asked.test_as_of,
        sampled_rows=asked.sampled_rows or plan.sampled_rows,
    )


def _candidate(trained: Trained, kept: Version, judgement: Judgement) -> Candidate:
    return Candidate(
        segment=trained.segment,
        version=kept.version,
        digest=kept.digest,
        folder=model_folder(kept.digest, current_settings()),
        split=trained.split,
        figures=trained.figures,
        verdict=judgement.verdict,
        expected=judgement.expected,
    )


def _campaign(rows: pa.Table, contract: Contract) -> Campaign:
    """What the base's decision policy earns with its newest customers: by that the gate tells models apart."""
    newest = rows.filter(pc.equal(rows[AS_OF], pc.max(rows[AS_OF])))
    policy = read_policy(policy_for(contract.name)).policy
    return campaign_of(policy, contract, newest, stood_for(labels_of(newest), contract))
