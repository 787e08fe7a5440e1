"""Decides whom to contact: reads the published scores, writes the list and everybody's status."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import AuditFailed
from churn.outreach import Cut, Judged, Stamp, best, draw_cut, is_listed, judge, list_rows, status_rows
from churn.policy import require_columns, without_leavers
from churn.scorecard import Scorecard
from churn.scoring import explained
from churn.segments import scored_by_model
from schemas.outreach import OUTREACH, STATUSES
from schemas.policy import Policy
from schemas.scores import SCORES
from store.contracts import read_contract
from store.lake import bucket_file, read_parquet, write_parquet
from store.policies import policy_for, read_policy
from tasks.night import Night, Result
from tasks.progress import begun, part_done
from tasks.scoring import base_rows, model_of
from tasks.step import step

STEP = "decide the list"
LIST = "list.parquet"


@step("decide whom to contact")
def decide(night: Night, scores: Result, policy: str, folder: Path) -> None:
    """Writes the list and the statuses into the folder of a run.

    One task for the whole base: a judgement is a few numbers a customer, and the cut needs all of them.
    """
    begun(STEP)
    in_force = read_policy(policy)
    rules = without_leavers(in_force.policy, read_contract(night.contract))
    stamp = Stamp(night.as_of, in_force.digest)
    parts = [judge(_part(night, scores, rules, bucket), rules) for bucket in night.every_bucket]
    cut = draw_cut([best(part, rules.capacity) for part in parts], rules.capacity)
    for bucket, part in enumerate(parts):
        write_parquet(status_rows(part, cut, rules, stamp), folder / STATUSES.name / bucket_file(bucket))
        part_done(STEP, night.buckets)
    listed = [_explained(night, bucket, _listed(scores, bucket, part, cut)) for bucket, part in enumerate(parts)]
    write_parquet(list_rows(pa.concat_tables(listed), stamp), folder / OUTREACH.name / LIST)


@step("read the policy")
def policy_in_force(contract: str, policy: str | None) -> str:
    """The policy that was asked for, or the contract's own; refused before any work where it does not fit."""
    terms = read_contract(contract)
    name = policy or policy_for(terms.name)
    require_columns(read_policy(name).policy, terms)
    return name


def _part(night: Night, scores: Result, policy: Policy, bucket: int) -> pa.Table:
    """The bucket's scores beside the columns that the policy's rules look at; both are in the order of the key."""
    part = _scores(scores, bucket, ["customer_id", "probability", "customer_value"])
    looked_at = sorted({rule.column for rule in policy.suppress})
    if looked_at:
        key = read_contract(night.contract).key
        rows = base_rows(night, bucket, [key, *looked_at])
        _require_same_customers(rows[key], part["customer_id"], bucket)
        for name in looked_at:
            part = part.append_column(name, rows[name])
    return part


def _require_same_customers(snapshot: pa.ChunkedArray, scores: pa.ChunkedArray, bucket: int) -> None:
    """The two are joined by their place, which is only right where both hold the same customers in the same order."""
    if not snapshot.equals(scores):
        raise AuditFailed(
            "the snapshot and the published scores hold different customers",
            where=f"bucket {bucket}",
            to_do="Score the night again with --force.",
        )


def _listed(scores: Result, bucket: int, part: Judged, cut: Cut) -> pa.Table:
    """The score rows of the bucket's listed customers, with what each is worth."""
    listed = pa.array(is_listed(part, cut))
    wanted = [name for name in OUTREACH.names if name in SCORES.names]
    rows = _scores(scores, bucket, wanted).filter(listed)
    return rows.append_column("expected_value", pa.array(part.expected_value).filter(listed))


def _explained(night: Night, bucket: int, listed: pa.Table) -> pa.Table:
    """The listed customers with their reasons, which the scores of a champion that is no scorecard may lack."""
    if all(isinstance(model_of(digest), Scorecard) for digest in pc.unique(listed["model_digest"]).to_pylist()):
        return listed
    key = read_contract(night.contract).key
    rows = base_rows(night, bucket)
    rows = rows.filter(pc.is_in(rows[key], listed["customer_id"].cast(pa.string())))
    _require_same_customers(rows[key], listed["customer_id"], bucket)
    reasons = scored_by_model(rows, listed["model_digest"], lambda digest, theirs: explained(model_of(digest), theirs))
    for name in set(reasons.column_names) & set(listed.column_names):
        listed = listed.set_column(listed.column_names.index(name), name, reasons[name])
    return listed


def _scores(scores: Result, bucket: int, columns: list[str]) -> pa.Table:
    return read_parquet([scores.folder / SCORES.name / bucket_file(bucket)], columns)
