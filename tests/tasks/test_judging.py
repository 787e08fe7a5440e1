"""A candidate is compared with whoever would score its segment without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from churn.gate import Finding, Verdict
from churn.training import Trained, TrainingPlan, train
from store.artifacts import model_of, save_model
from store.registry import Promotion, Version, open_registry
from store.settings import Settings, current_settings
from tasks.judging import judged
from tasks.night import Candidate, Course
from tests import cards
from tests.api.service import TINY
from tests.end_to_end.nights import living_in

QUICK = TrainingPlan(interactions=0, outer_bags=2, max_rounds=100)
COURSE = Course("scorecard", "default")
PASSED, REFUSED = (Verdict((Finding("calibration", passed, "Slope 1.0."),)) for passed in (True, False))


@pytest.fixture(scope="module")
def trainings() -> dict[str, Trained]:
    """What three months teach of all customers, and of those who pay beforehand."""
    rows = cards.lessons(3_000, tuple(date(2025, month, 1) for month in (6, 8, 10)))
    return {segment: train(rows, TINY, replace(QUICK, segment=segment)) for segment in ("all", "prepaid")}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with living_in(tmp_path):
        yield current_settings()


def kept(trained: Trained, settings: Settings, code_version: str = "2") -> Version:
    digest = save_model(model_of(trained, TINY, code_version), settings)
    registry = open_registry(settings)
    return registry.version(TINY.name, registry.register(TINY.name, digest))


def candidate(version: Version, verdict: Verdict) -> Candidate:
    return Candidate("all", version.version, version.digest, Path(), "out of time", {}, verdict, None)


def let_score(version: Version, segment: str, settings: Settings) -> None:
    wish = Promotion(TINY.name, version.version, None, "Ada", "the first", (segment,), override=True)
    open_registry(settings).promote(wish)


# who is there | with whom the candidate for prepaid customers is compared
RIVALS = [
    ((), "nobody"),
    (("whole",), "whole"),
    (("champion of all",), "champion of all"),
    (("champion of all", "whole"), "whole"),
    (("champion of all", "refused whole"), "champion of all"),
    (("champion of all", "own champion", "whole"), "own champion"),
]


@pytest.mark.parametrize(("there", "rival"), RIVALS)
def test_a_segments_candidate_is_compared_with_who_would_score_the_segment_without_it(
    there: tuple[str, ...], rival: str, trainings: dict[str, Trained], settings: Settings
) -> None:
    versions = {name: kept(trainings["all"], settings, code_version=name) for name in there}
    for name, segment in (("champion of all", "all"), ("own champion", "prepaid")):
        if name in there:
            let_score(versions[name], segment, settings)
    course = COURSE
    for name, verdict in (("whole", PASSED), ("refused whole", REFUSED)):
        if name in there:
            course = course.beside(candidate(versions[name], verdict))
    own = versions["own champion"].version if "own champion" in there else None
    judgement = judged(trainings["prepaid"], kept(trainings["prepaid"], settings), TINY, course)
    assert judgement.against == (versions[rival].version if rival in versions else None)
    assert judgement.expected == own
    money = judgement.verdict.findings[2].says
    assert ("against the champion's" in money) == (rival != "nobody")
