"""The prior of a night is each model's own, and whose scores say too much or too little is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from churn.metrics import probability
from schemas.scores import SCORES
from store.lake import bucket_file, write_parquet
from store.policies import read_policy
from store.settings import current_settings
from tasks.night import Result
from tasks.prior import prior_for
from tests.end_to_end.nights import living_in
from tests.watched_nights import card, save_card

MANY = 100_000


def scores_of(folder: Path, log_odds: dict[str, np.ndarray]) -> Result:
    """Scores of as many customers of each model, by its digest."""
    rows = {
        "log_odds": np.concatenate(list(log_odds.values())),
        "model_digest": np.repeat(list(log_odds), [len(theirs) for theirs in log_odds.values()]),
    }
    write_parquet(pa.table(rows), folder / SCORES.name / bucket_file(0))
    return Result(SCORES.name, "run", 1, len(rows["log_odds"]), folder, new=True)


def test_a_model_whose_scores_moved_too_far_keeps_its_odds_and_people_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with living_in(tmp_path):
        sound, moved = save_card(current_settings()), save_card(current_settings(), -3.0)
        log_odds = -4.0 + np.random.default_rng(5).standard_normal(MANY)
        log_odds += np.log(card().base_rate / float(probability(log_odds).mean()))
        scores = scores_of(tmp_path / "run", {sound: log_odds, moved: log_odds + 1.0})
        policy = read_policy("telco").policy
        assert prior_for(scores, policy) is None
        prior = prior_for(scores, policy.model_copy(update={"prior_by_em": True}))
    assert prior is not None
    assert (prior.odds[moved], prior.odds[sound] != 1.0) == (1.0, True)
    assert f"the scores of model {moved[:12]} are used unadjusted" in caplog.text
    assert sound[:12] not in caplog.text
