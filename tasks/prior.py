"""Reads off a night's scores by what prior its list is decided, where the policy asks for the estimated one."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from churn.prior import Prior
from churn.score_spread import MOST_TIMES, odds_by_em
from schemas.policy import Policy
from schemas.scores import SCORES
from store.lake import read_parquet
from store.priors import prior_of
from tasks.night import Result
from tasks.progress import warned
from tasks.scoring import model_of


def prior_for(scores: Result, policy: Policy) -> Prior | None:
    """The prior of the night's customers, of each model's by themselves; None where scores are taken as they are."""
    if not policy.prior_by_em:
        return None
    rows = read_parquet(sorted((scores.folder / SCORES.name).glob("*.parquet")), ["log_odds", "model_digest"])
    digests = rows["model_digest"].cast(pa.string())
    odds = {}
    for digest in pc.unique(digests).to_pylist():
        theirs = rows["log_odds"].filter(pc.equal(digests, digest)).to_numpy()
        odds[digest] = odds_by_em(theirs, model_of(digest).base_rate)
    _tell_where_not_taken(odds)
    return prior_of(odds)


def _tell_where_not_taken(odds: Mapping[str, float]) -> None:
    for digest in (digest for digest, times in odds.items() if times == 1.0):
        warned(
            f"the scores of model {digest[:12]} are used unadjusted: too few churners are expected, the estimate "
            "equals the training rate, or its odds differ from training by more than "
            f"a factor of {MOST_TIMES:g} (em_rate)"
        )
