"""Trains a model on matured months, keeps it, and makes it champion."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from churn.errors import NoChampion
from churn.evaluation import cross_validate
from churn.metrics import Evaluation
from churn.night import matured_months
from churn.snapshot import TrainingWindow
from churn.training import TrainingPlan, train
from store.artifacts import model_folder, model_of, save_model
from store.code import code_digest
from store.contracts import read_contract
from store.lake import read_parquet, write_parquet
from store.registry import Promotion, open_registry
from store.settings import current_settings
from store.snapshots import first_as_of, training_rows
from tasks.night import Candidate, Night
from tasks.progress import begun, part_done
from tasks.step import SOON, step

STEP = "gather what months teach"
WHO = "the retraining flow"


@step("is there a champion of {night.base}")
def has_champion(night: Night) -> bool:
    """Whether somebody holds the place."""
    try:
        open_registry(current_settings()).resolve(night.base)
    except NoChampion:
        return False
    return True


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


@step("train a model for {night.base}")
def train_candidate(night: Night, lessons: list[Path]) -> Candidate:
    """Trains, judges out of time, and registers; nobody is promoted."""
    begun("train")
    settings, contract = current_settings(), read_contract(night.contract)
    trained = train(read_parquet(lessons), contract, TrainingPlan())
    digest = save_model(model_of(trained, contract, f"{version('churn')}+{code_digest()[:12]}"), settings)
    return Candidate(
        version=open_registry(settings).register(contract.name, digest),
        digest=digest,
        folder=model_folder(digest, settings),
        split=trained.split,
        figures=asdict(trained.test),
    )


@step("promote version {candidate.version}")
def promote(night: Night, candidate: Candidate, why: str) -> None:
    """Makes the candidate champion, unless somebody else has become it meanwhile."""
    registry = open_registry(current_settings())
    try:
        expected = registry.resolve(night.base).version
    except NoChampion:
        expected = None
    if expected != candidate.version:
        registry.promote(Promotion(night.base, candidate.version, expected, who=WHO, why=why))


@step("cross-validate")
def cross_validated(night: Night, lessons: list[Path]) -> Evaluation:
    """Mean figures of five stratified folds, seed 42."""
    begun("cross-validate")
    return cross_validate(read_parquet(lessons), read_contract(night.contract))
