"""Reads off a night's scores by what prior its list is decided, where the policy asks for the estimated one."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from churn.prior import Prior
from churn.score_spread import odds_by_em
from schemas.policy import Policy
from schemas.scores import SCORES
from store.lake import read_parquet
from store.priors import prior_of
from tasks.night import Result
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
    return prior_of(odds)
