"""Tries a policy on a night whose scores are published: what its list would have been; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import RequestError
from churn.listing import status_rows
from churn.policy import require_columns
from churn.rival_list import Believed, believed
from schemas.outreach import STATUSES, Status
from store.contracts import read_contract
from store.decisions import snapshot_of
from store.lake import Lake, read_parquet
from store.policies import read_policy
from store.publication import Publisher, open_publisher
from store.runs import Run, shown_run
from store.settings import current_settings
from tasks.night import Night, Result
from tasks.outreach import decision
from tasks.publishing import OUTREACH, SCORES


@dataclass(frozen=True, slots=True)
class Listed:
    """Whom a list names, what their contacts are worth by its own policy, and how many customers have which status."""

    customers: frozenset[str]
    money: float
    statuses: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """A policy's list of a night beside the one that was published; None where none was.

    `measured` names the actions whose effects, as lots have told them by that night, leave some customers alone.
    `believed` is what the tried policy believes of the list in force: what that one itself does is another belief, and
    compares with nothing.
    """

    as_of: date
    tried: Listed
    in_force: Listed | None
    measured: tuple[str, ...] = ()
    believed: Believed | None = None

    @property
    def gained(self) -> float | None:
        """By how much the tried list is worth more than the one in force, both as the tried policy believes."""
        return self.tried.money - self.believed.money if self.believed else None

    @property
    def in_both(self) -> int:
        """How many customers both lists name."""
        return len(self.tried.customers & self.in_force.customers) if self.in_force else 0


def tried_on(contract: str, policy: str, as_of: date) -> Trial:
    """The policy on that night's published scores; RequestError where they, or the customers of that night, are gone.

    Contacts count as they were known then, and so does the list of the night before.
    """
    terms, rules, publisher = read_contract(contract), read_policy(policy), open_publisher(current_settings())
    require_columns(rules.policy, terms)
    run = shown_run(publisher, terms.name, SCORES, as_of)
    if run is None:
        raise RequestError("its scores are not published", where=f"{terms.name} as of {as_of}", to_do=_ADVICE)
    decided = decision(_night(contract, run, publisher.lake), _scores(run), rules)
    pairs = zip(decided.parts, decided.wave.parts, strict=True)
    tried = _listed([status_rows(judged, places, decided.terms) for judged, places in pairs])
    measured = tuple(sorted(decided.terms.uplift.cards)) if decided.terms.uplift else ()
    there = _in_force(publisher, terms.name, as_of)
    if there is None:
        return Trial(as_of, tried, None, measured)
    return Trial(as_of, tried, _listed([there]), measured, believed(decided.parts, rules.policy, _chosen(there)))


_ADVICE = "Ask for a night that is published: see night_status."


def _in_force(publisher: Publisher, base: str, as_of: date) -> pa.Table | None:
    published = publisher.published(base, OUTREACH, as_of)
    if published is None:
        return None
    files = sorted((published.folder / STATUSES.name).glob("*.parquet"))
    return read_parquet(files, ["customer_id", "status", "expected_value", "action"])


def _listed(parts: Sequence[pa.Table]) -> Listed:
    statuses: Counter[str] = Counter()
    customers: list[str] = []
    money = 0.0
    for part in parts:
        statuses.update(part["status"].to_pylist())
        chosen = _chosen(part)
        customers += chosen["customer_id"].to_pylist()
        money += sum(chosen["expected_value"].to_pylist())
    return Listed(frozenset(customers), money, dict(statuses.most_common()))


def _chosen(statuses: pa.Table) -> pa.Table:
    return statuses.filter(pc.equal(statuses["status"].cast(pa.string()), Status.LISTED.value))


def _night(contract: str, run: Run, lake: Lake) -> Night:
    """The night of a published run, with the snapshot that it was scored from."""
    snapshot = snapshot_of(run, lake)
    if snapshot is None:
        raise RequestError("the customers of that night are not kept any more", where=str(run.unit), to_do=_ADVICE)
    buckets = len(list(snapshot.glob("bucket=*.parquet")))
    unit = run.unit
    return Night(contract, unit.contract, unit.as_of, unit.known_at, Path(), run.extract_digest, snapshot, buckets)


def _scores(run: Run) -> Result:
    return Result(SCORES, run.run_id, run.revision, run.rows, run.folder, new=False)
