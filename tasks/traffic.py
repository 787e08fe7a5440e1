"""Lets challengers in the shadow decide about the share of customers that the policy gives them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from churn.errors import ChurnError
from churn.outreach import Terms
from churn.scorecard import Scorecard
from churn.scoring import Stamp, require_features, score_rows
from churn.traffic import Traffic, with_challengers
from schemas.contract import Contract
from schemas.outreach import OUTREACH, TEAMS
from schemas.policy import Policy
from store.contracts import read_contract
from store.lake import read_parquet
from store.publication import open_publisher
from store.settings import current_settings
from store.traffic import able, kept_traffic, waiting_traffic
from tasks.night import Night
from tasks.scoring import model_of

log = logging.getLogger(__name__)


def traffic_of(night: Night, policy: Policy) -> Traffic | None:
    """Which challengers decide with the champions; None where the policy gives them nobody, or none can.

    A list decided again uses the challengers of the first time, whatever became of them. A challenger that cannot score
    does not change the others' shares.
    """
    if policy.challenger_traffic.share == 0.0:
        return None
    contract = read_contract(night.contract)

    def can_decide(digest: str) -> bool:
        return _can_decide(digest, contract)

    before = _as_decided(night)
    if before is not None:
        return able(before, can_decide)
    return waiting_traffic(current_settings(), night.base, night.as_of, can_decide)


def decided_scores(night: Night, scores: pa.Table, customers: pa.Table, terms: Terms) -> pa.Table:
    """The scores, of those about whom a challenger decides by it; `customers` are theirs, row by row."""
    contract = read_contract(night.contract)
    dealt = terms.dealt(customers, contract)
    if dealt is None:
        return scores

    def scored(digest: str, theirs: pa.Table) -> pa.Table:
        return score_rows(model_of(digest), theirs, Stamp(night.as_of, contract, 0, digest))

    return with_challengers(scores, customers, dealt, scored)


def _as_decided(night: Night) -> Traffic | None:
    listed = open_publisher(current_settings()).published(night.base, OUTREACH.name, night.as_of)
    digest = _named(sorted((listed.folder / TEAMS.name).glob("*.parquet"))) if listed else None
    return kept_traffic(current_settings(), digest) if digest else None


def _named(files: Iterable[Path]) -> str | None:
    """The traffic that a list's teams name; earlier releases knew none."""
    rows = (row for file in files for row in read_parquet([file]).to_pylist())
    return next((row.get("traffic_digest") for row in rows), None)


def _can_decide(digest: str, contract: Contract) -> bool:
    """Whether the model is there, fits, and has a reason for each score at once: others cost a list its time."""
    try:
        model = model_of(digest)
        require_features(model, contract)
    except ChurnError as refused:
        log.warning("a challenger does not decide: %s", refused)
        return False
    if not isinstance(model, Scorecard):
        log.warning("a challenger does not decide: model %s is no scorecard", digest)
    return isinstance(model, Scorecard)
