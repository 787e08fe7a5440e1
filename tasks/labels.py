"""Says of the customers to learn from who was called while their labels came, and by which policy."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import PolicyError
from churn.labels import treated, with_treatment
from schemas.contract import Contract
from store.contracts import read_contract
from store.interventions import events_since
from store.lake import read_parquet, write_parquet
from store.policies import kept_policy
from store.settings import Settings, current_settings
from tasks.lift import KeptWave, members_of
from tasks.night import Course, Night
from tasks.step import LATER, step

log = logging.getLogger(__name__)


@step("say who of the lessons was called", again_after=LATER)
def say_who_was_called(night: Night, waves: Sequence[KeptWave], lessons: Sequence[Path], course: Course) -> Course:
    """The course that knows who was in a wave, or contacted, while the lessons' labels came.

    A flat contract has a table of outcomes and no waves among them.
    """
    contract, settings = read_contract(night.contract), current_settings()
    if contract.flat or not lessons:
        return course
    as_ofs = [date.fromisoformat(path.stem) for path in lessons]
    since = min(as_ofs) - timedelta(days=contract.horizon_days)  # nobody works off a list that is older
    members = with_shares(members_of(wave for wave in waves if wave.as_of >= since), settings)
    events = events_since(settings, night.base, since, known_at=night.known_at)
    found = treated(members, events, as_ofs, contract.horizon_days)
    for arm in pc.value_counts(found["wave_arm"].combine_chunks()).to_pylist():
        log.info("%d customer-months of the lessons are %s", arm["counts"], arm["values"])
    path = lessons[0].with_name(f"treated-{_digest(found)}.parquet")  # other waves may be known by the next retraining
    write_parquet(found, path)
    return replace(course, treated=path)


def lessons_of(lessons: Sequence[Path], contract: Contract, course: Course) -> pa.Table:
    """The rows to learn from, and who of them was called, where the course knows."""
    rows = read_parquet(lessons)
    return rows if course.treated is None else with_treatment(rows, contract.key, read_parquet([course.treated]))


def with_shares(members: pa.Table, settings: Settings) -> pa.Table:
    """MEMBERS with `share`, the chance of being held out.

    `share` is null where the file predates it, or the policy's text is no longer kept.
    """
    digests = pc.unique(members["policy_digest"].drop_null()).to_pylist()
    known = _shares(digests, settings)
    place = pc.index_in(members["policy_digest"], value_set=pa.array(list(known), pa.string()))
    return members.append_column("share", pa.array(list(known.values()), pa.float64()).take(place.combine_chunks()))


def _shares(digests: Sequence[str], settings: Settings) -> Mapping[str, float]:
    """The chance of being held out, by each policy whose text is kept."""
    found = {}
    for digest in digests:
        try:
            policy = kept_policy(digest, settings)
        except PolicyError as refused:  # this release may ask more of a policy than the one that decided by it
            log.warning("policy %s: its share is not known any more: %s", digest, refused)
            continue
        if policy is not None:
            found[digest] = policy.policy.holdout.share
    return found


def _digest(found: pa.Table) -> str:
    digest = hashlib.sha256()
    for batch in found.combine_chunks().to_batches():
        digest.update(batch.serialize())
    return digest.hexdigest()[:16]
