"""Decides whom to contact: reads the published scores, writes the list and everybody's status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import AuditFailed
from churn.listing import FROM_SCORES, is_listed, list_rows, listed_rows, status_rows, team_rows
from churn.outreach import Ints, Judged, Terms, homes_away, judge
from churn.past import Past, looks_back_to, no_statuses, past_of
from churn.policy import without_leavers
from churn.scorecard import Scorecard
from churn.scoring import explained
from churn.segments import scored_by_model
from churn.wave import Wave, draw
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.scores import SCORES
from store import priors
from store.contracts import read_contract
from store.interventions import history
from store.lake import bucket_file, read_parquet, write_parquet
from store.past_lists import remembered
from store.policies import PolicyInForce, policy_asked_for, read_policy
from store.publication import open_publisher
from store.settings import current_settings
from store.texts import keep_text
from store.traffic import text_of
from store.uplifts import uplift_in_force
from tasks.night import Night, Result
from tasks.prior import prior_for
from tasks.progress import begun, part_done
from tasks.publishing import OUTREACH as LISTS
from tasks.scoring import base_rows, model_of
from tasks.step import LATER, step
from tasks.traffic import decided_scores, traffic_of

STEP = "decide the list"
LIST, BY_TEAM = "list.parquet", "teams.parquet"
REASONS = [name for name in FROM_SCORES if name.startswith("reason_") and name.endswith("_feature")]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decision:
    """A list before it is written: the terms, each bucket's customers as they were judged, and the wave of all."""

    terms: Terms
    parts: tuple[Judged, ...]
    wave: Wave


@step("decide whom to contact", again_after=LATER)
def decide(night: Night, scores: Result, policy: str, folder: Path) -> None:
    """Writes the list, everybody's status and how the teams' places were used into the folder of a run."""
    begun(STEP)
    rules = read_policy(policy)
    decided = decision(night, scores, rules)
    texts = [rules.text, read_contract(night.contract).text]
    texts += [text_of(decided.terms.traffic)] if decided.terms.traffic else []
    texts += [priors.text_of(decided.terms.prior)] if decided.terms.prior else []
    for text in texts:  # by what was in force receipts are made
        keep_text(text, current_settings())
    write_decision(night, scores, decided, folder)


@step("read the policy")
def policy_in_force(contract: str, policy: str | None) -> str:
    """The policy that was asked for, or the contract's own; refused before any work where it does not fit."""
    return policy_asked_for(read_contract(contract), policy)


def decision(night: Night, scores: Result, policy: PolicyInForce) -> Decision:
    """Judges the buckets, several at a time, and draws the wave from the candidates of all.

    One task for the whole base: a judgement is a few numbers a customer, and the wave needs all candidates.
    """
    contract = read_contract(night.contract)
    terms = Terms.of(without_leavers(policy.policy, contract), policy.digest, night.as_of, contract)
    learnt = uplift_in_force(current_settings(), night.base, night.known_at)
    prior = prior_for(scores, policy.policy)
    terms = replace(terms, uplift=learnt, traffic=traffic_of(night, policy.policy), prior=prior)
    past = past_at(night, terms)
    parts = tuple(_at_once(lambda bucket: _judged(night, scores, terms, past, bucket), night.every_bucket))
    wave = draw([part.candidates for part in parts], terms.policy, homes_away(parts, past))
    return Decision(terms, parts, wave)


def write_decision(night: Night, scores: Result, decided: Decision, folder: Path) -> None:
    """Writes a decision as the files of a run."""

    def written(bucket: int) -> pa.Table:
        judged, places = decided.parts[bucket], decided.wave.parts[bucket]
        statuses = status_rows(judged, places, decided.terms)
        write_parquet(statuses, folder / STATUSES.name / bucket_file(bucket))
        theirs = _decided(night, _scores(scores, bucket, FROM_SCORES), decided.terms, bucket)
        theirs = theirs.filter(pa.array(is_listed(judged, places)))
        theirs = _explained(night, bucket, theirs) if _untold(theirs) else theirs
        part_done(STEP, night.buckets)
        return listed_rows(theirs, statuses, judged, places)

    listed = list(_at_once(written, night.every_bucket))
    write_parquet(list_rows(listed, decided.terms), folder / OUTREACH.name / LIST)
    write_parquet(team_rows(decided.parts, decided.wave, decided.terms), folder / TEAMS.name / BY_TEAM)


def past_at(night: Night, terms: Terms) -> Past:
    """What the list has to respect: contacts as they were known at the night's moment, and the lists before."""
    settings = current_settings()
    contacts = history(settings, night.base, before=night.as_of, known_at=night.known_at)
    publisher = open_publisher(settings)
    before = publisher.newest_before(night.base, LISTS, night.as_of)
    if before is None:
        return past_of(terms.policy, night.as_of, contacts, no_statuses())
    since = looks_back_to(terms.policy, night.as_of)
    return past_of(terms.policy, night.as_of, contacts, remembered(publisher, before.run_id, since, settings.cores))


def _at_once(work: Callable[[int], R], buckets: Iterable[int]) -> Iterable[R]:
    """Several buckets at a time: Arrow and NumPy let go of the interpreter while they work."""
    with ThreadPoolExecutor(current_settings().cores) as threads:
        yield from threads.map(work, buckets)


def _judged(night: Night, scores: Result, terms: Terms, past: Past, bucket: int) -> Judged:
    published = _published(night, scores, terms, bucket)
    rows = _part(night, published, terms, bucket)
    if terms.policy.asks_for_reasons and _untold(published):
        may_matter = judge(rows, terms.whatever_the_reasons, past).place
        rows = _with_reasons(rows, _explained(night, bucket, rows.take(pa.array(may_matter))), may_matter)
    return judge(rows, terms, past)


def _published(night: Night, scores: Result, terms: Terms, bucket: int) -> pa.Table:
    """What the published scores of the bucket say that decisions are made by."""
    reasons = REASONS if terms.policy.asks_for_reasons else []
    return _scores(scores, bucket, ["customer_id", "probability", "customer_value", "model_digest", *reasons])


def _part(night: Night, published: pa.Table, terms: Terms, bucket: int) -> pa.Table:
    """The bucket's scores beside the columns that the terms look at; both are in the order of the key."""
    part = _decided(night, published, terms, bucket)
    if terms.columns:
        key = read_contract(night.contract).key
        rows = base_rows(night, bucket, list(dict.fromkeys([key, *terms.columns])))
        _require_same_customers(rows[key], part["customer_id"], bucket)
        for name in set(terms.columns) - set(part.column_names):
            part = part.append_column(name, rows[name])
    return part


def _decided(night: Night, published: pa.Table, terms: Terms, bucket: int) -> pa.Table:
    """The scores, of those about whom a challenger decides by it."""
    if terms.traffic is None:
        return published
    customers = base_rows(night, bucket)
    _require_same_customers(customers[read_contract(night.contract).key], published["customer_id"], bucket)
    return decided_scores(night, published, customers, terms)


def _require_same_customers(snapshot: pa.ChunkedArray, scores: pa.ChunkedArray, bucket: int) -> None:
    """The two are joined by their place, which is only right where both hold the same customers in the same order."""
    if not snapshot.equals(scores):
        raise AuditFailed(
            "the snapshot and the published scores hold different customers",
            where=f"bucket {bucket}",
            to_do="Score the night again with --force.",
        )


def _untold(rows: pa.Table) -> bool:
    """Whether reasons are missing that there are: the scores of a champion that is no scorecard need not have them."""
    without = rows.filter(pc.is_null(rows["reason_1_feature"]))
    return not all(isinstance(model_of(digest), Scorecard) for digest in pc.unique(without["model_digest"]).to_pylist())


def _explained(night: Night, bucket: int, some: pa.Table) -> pa.Table:
    """Some score rows of the bucket, with the reasons of all of them."""
    key = read_contract(night.contract).key
    rows = base_rows(night, bucket)
    rows = rows.filter(pc.is_in(rows[key], some["customer_id"].cast(pa.string())))
    _require_same_customers(rows[key], some["customer_id"], bucket)
    reasons = scored_by_model(rows, some["model_digest"], lambda digest, theirs: explained(model_of(digest), theirs))
    for name in set(reasons.column_names) & set(some.column_names):
        some = some.set_column(some.column_names.index(name), name, reasons[name])
    return some


def _with_reasons(rows: pa.Table, some: pa.Table, place: Ints) -> pa.Table:
    """All rows with the reasons of some of them, who have those places among all; null for the others."""
    found = np.zeros(rows.num_rows, np.int64)
    found[place] = np.arange(len(place))
    nobody = np.ones(rows.num_rows, np.bool_)
    nobody[place] = False
    for name in REASONS:
        told = some[name].take(pa.array(found, mask=nobody))
        rows = rows.set_column(rows.column_names.index(name), name, told)
    return rows


def _scores(scores: Result, bucket: int, columns: list[str]) -> pa.Table:
    return read_parquet([scores.folder / SCORES.name / bucket_file(bucket)], columns)
