"""Says by which runs a night is watched, and reads their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from churn.actions import REASON_PLACES
from churn.errors import RequestError
from schemas.contract import Contract
from schemas.outreach import STATUSES
from schemas.policy import Policy
from store.contracts import read_contract
from store.decisions import decision_of
from store.lake import read_parquet
from store.policies import kept_policy, policy_for, read_policy
from store.publication import open_publisher
from store.runs import Run
from store.settings import Settings, current_settings
from tasks.night import Night

FIRST_REASON, *_ = REASONS = [f"reason_{place}_feature" for place in REASON_PLACES]
_IN_SCORES = ["customer_id", "segment", "log_odds", "customer_value", "model_digest", FIRST_REASON]


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """The runs of the night, its contract and the policy that decided its list."""

    night: Night
    scores: Run
    list: Run
    contract: Contract
    policy: Policy
    settings: Settings


def published_night(contract: str, as_of: date | None) -> Published:
    """The night as it is published, or the newest one; RequestError where it has no list, or no customers any more."""
    settings, terms = current_settings(), read_contract(contract)
    publisher = open_publisher(settings)
    decided = decision_of(publisher, terms.name, as_of)
    if decided.list is None or decided.snapshot is None:
        raise RequestError(
            "its list is not published" if decided.list is None else "its customers are not kept any more",
            where=f"{terms.name} as of {decided.scores.unit.as_of}",
            to_do="Watch a night whose list is published and kept: see night_status.",
        )
    unit, digest = decided.scores.unit, decided.scores.extract_digest
    extract, buckets = publisher.lake.extract(terms.name, digest), decided.buckets
    night = Night(contract, terms.name, unit.as_of, unit.known_at, extract, digest, decided.snapshot, buckets)
    return Published(night, decided.scores, decided.list, terms, _policy(decided.list, terms, settings), settings)


def _policy(listed: Run, contract: Contract, settings: Settings) -> Policy:
    """The policy that decided the list, or the one in force where its text is kept no longer."""
    told = read_parquet(files_of(listed, STATUSES.name)[:1], ["policy_digest"])["policy_digest"]
    kept = kept_policy(told[0].as_py(), settings) if len(told) else None
    return (kept or read_policy(policy_for(contract.name))).policy


def with_reasons(causes: pa.Table, scores: pa.Table) -> pa.Table:
    """The columns that actions go by; the rows of both are in the same order."""
    for name in set(REASONS) & set(scores.column_names):
        causes = causes.append_column(name, scores[name])
    return causes


def score_columns(policy: Policy) -> list[str]:
    """The columns of the published scores that a watch looks at."""
    return [*_IN_SCORES, *(REASONS[1:] if policy.asks_for_reasons else ())]


def values_of(told: pa.Table, scores: pa.Table) -> np.ndarray:
    """What keeping each customer is worth, as the policy has it; a list of an earlier release did not tell."""
    whose = told if "customer_value" in told.column_names else scores
    return np.asarray(whose["customer_value"].cast(pa.float64()).to_numpy())


def matured_until(published: Published) -> date:
    """The last date whose horizon was over by what was known that night: what came later, nobody knew."""
    return published.night.known_at.date() - timedelta(days=published.contract.horizon_days)


def files_of(run: Run, table: str) -> list[Path]:
    """The files of one of the run's tables, in order of their buckets."""
    return sorted((run.folder / table).glob("*.parquet"))
