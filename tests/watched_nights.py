"""Publishes whole small nights without an orchestrator: customers, a model, its scores and the list that follows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.contract import arrow_schema
from churn.scorecard import Feature, Kind, Scorecard, Term, binned
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from schemas.contract import Contract
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.artifacts import model_of, save_model
from store.claims import Claim, Content, Unit
from store.contracts import read_contract
from store.lake import bucket_file, describe, write_manifest, write_parquet
from store.policies import read_policy
from store.publication import Publisher, open_publisher
from store.runs import shown_run
from store.settings import Settings, current_settings
from tasks.checks import QUARANTINE as ASIDE
from tasks.night import Night, Result
from tasks.outreach import decision, write_decision
from tests.models import trained

CUSTOMERS, BUCKETS, EXTRACT = 4_000, 2, "e" * 64
KEY, MINOR, IRRELEVANT = "minutes_trend_3m", "days_out_of_contract", "days_since_ticket"
CAUSE = "handset_age_days"  # moves no risk here, but says whom the telecom's policy offers a new one
REGIONS = ("R01", "R02", "R03")


def contract() -> Contract:
    """The telecom's own."""
    return read_contract("telco")


def customers(seed: int = 1) -> pa.Table:
    """Customers of a night with what the small model, the telecom's policy and the snapshot's readers look at."""
    dice = np.random.default_rng(seed)
    columns = {
        "customer_id": [f"C{number:06d}" for number in range(CUSTOMERS)],
        "segment": np.where(dice.random(CUSTOMERS) < 0.3, "prepaid", "postpaid"),
        "region": pa.array(np.array(REGIONS)[dice.integers(0, 3, CUSTOMERS)]),
        KEY: dice.normal(1.0, 0.3, CUSTOMERS),
        MINOR: dice.integers(0, 400, CUSTOMERS),
        IRRELEVANT: dice.integers(1940, 2005, CUSTOMERS),
        CAUSE: np.random.default_rng(seed + 1_000).integers(250, 900, CUSTOMERS),
        "monthly_revenue": dice.gamma(4.0, 12.0, CUSTOMERS),
    }
    return with_what_lacks(pa.table(columns))


def with_what_lacks(rows: pa.Table) -> pa.Table:
    """The rows with every column of the contract: what they lack is null, and anybody may be contacted."""
    for field in arrow_schema(contract().customer):
        if field.name not in rows.column_names:
            yes = {"marketing_consent": True, "do_not_contact": False}.get(field.name)
            given = pa.nulls(rows.num_rows, field.type) if yes is None else pa.array([yes] * rows.num_rows)
            rows = rows.append_column(field.name, given)
    return rows


def card() -> Scorecard:
    """Risk that follows one feature, a little another, and not two more."""
    weights = {KEY: -5.0, MINOR: 0.002, IRRELEVANT: 0.0, CAUSE: 0.0}
    cuts = {
        KEY: np.linspace(0.2, 1.8, 33),
        MINOR: np.linspace(10.0, 390.0, 20),
        IRRELEVANT: np.linspace(1945, 2000, 12),
        CAUSE: np.linspace(275, 875, 25),
    }
    kinds = dict.fromkeys(weights, Kind.WHOLE) | {KEY: Kind.NUMBER}
    features = [Feature(name, kinds[name], name, cuts=cuts[name]) for name in weights]
    region = Feature("region", Kind.CATEGORY, "region", categories=REGIONS)
    terms = [
        Term((place,), (np.arange(feature.bins),), _slope(feature, weights[feature.name]))
        for place, feature in enumerate(features)
    ]
    terms.append(Term((4,), (np.arange(5),), np.array([0.0, -0.05, 0.0, 0.05, 0.0])))
    return Scorecard(-3.5, (*features, region), tuple(terms), 0.03)


def _slope(feature: Feature, weight: float) -> np.ndarray:
    middles = np.concatenate([feature.cuts[:1], (feature.cuts[1:] + feature.cuts[:-1]) / 2, feature.cuts[-1:]])
    return np.concatenate([[0.0], weight * (middles - middles.mean())])


def save_card(settings: Settings, intercept: float = -3.5) -> str:
    """Saves the small model with the spread of its features as a training leaves it, and gives its digest."""
    rows = customers(seed=99)
    shares = {
        feature.name: (np.bincount(bins, minlength=feature.bins) / rows.num_rows).tolist()
        for feature, bins in zip(card().features, binned(card(), rows), strict=True)
    }
    probe = rows.slice(0, 20).select([feature.name for feature in card().features])
    learnt = replace(trained(replace(card(), intercept=intercept), probe), reference=shares)
    return save_model(model_of(learnt, contract(), "0.1.0"), settings)


def publish_night(settings: Settings, as_of: date, rows: pa.Table, digest: str, prepaid: str = "") -> Night:
    """Publishes the scores of these customers and the list that the telecom's policy makes of them.

    `prepaid` is the model that is said to have scored the segments of such a name, where it is another.
    """
    publisher = open_publisher(settings)
    night = _night(publisher, as_of, rows)
    scores = _publish(publisher, night, "scores", lambda folder: _write_scores(night, rows, (digest, prepaid), folder))
    rules = read_policy("telco")
    _publish(
        publisher,
        night,
        "outreach",
        lambda folder: write_decision(night, scores, decision(night, scores, rules), folder),
    )
    return night


def spoil(as_of: date, harm: str) -> None:
    """Changes bytes of a file of the night's scores (damaged), or takes all of them away (gone)."""
    run = shown_run(open_publisher(current_settings()), "telco", SCORES.name, as_of)
    assert run is not None
    if harm == "gone":
        shutil.rmtree(run.folder)
        return
    file = run.folder / SCORES.name / bucket_file(0)
    content = bytearray(file.read_bytes())
    for place in (len(content) // 2, -6):
        content[place] ^= 0xFF
    file.chmod(0o644)
    file.write_bytes(bytes(content))


def _night(publisher: Publisher, as_of: date, rows: pa.Table) -> Night:
    known_at = datetime.combine(as_of, time())
    snapshot = publisher.lake.snapshot("telco", as_of, known_at, EXTRACT)
    for bucket in range(BUCKETS):
        write_parquet(_bucket(rows, bucket), snapshot / bucket_file(bucket))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), snapshot / ASIDE)
    write_manifest(describe(snapshot, {"extract": EXTRACT}), snapshot)
    extract = publisher.lake.extract("telco", EXTRACT)
    return Night("telco", "telco", as_of, known_at, extract, EXTRACT, snapshot, BUCKETS)


def _bucket(rows: pa.Table, bucket: int) -> pa.Table:
    half = rows.num_rows // BUCKETS
    return rows.slice(bucket * half, half)


def _write_scores(night: Night, rows: pa.Table, digests: tuple[str, str], folder: Path) -> None:
    stamp = Stamp(night.as_of, contract(), 1, digests[0])
    scored = [score_rows(card(), _bucket(rows, bucket), stamp) for bucket in range(BUCKETS)]
    if digests[1]:
        scored = [_by_another(part, digests) for part in scored]
    edges = percentile_edges(part["log_odds"].to_numpy() for part in scored)
    for bucket, part in enumerate(scored):
        write_parquet(with_percentile(part, edges), folder / SCORES.name / bucket_file(bucket))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), folder / QUARANTINE.name / ASIDE)


def _by_another(scores: pa.Table, digests: tuple[str, str]) -> pa.Table:
    theirs = pc.starts_with(scores["segment"].cast(pa.string()), "prepaid")
    place = scores.column_names.index("model_digest")
    return scores.set_column(place, "model_digest", pc.if_else(theirs, digests[1], digests[0]))


def _publish(publisher: Publisher, night: Night, kind: str, write) -> Result:  # type: ignore[no-untyped-def]
    unit = Unit("telco", kind, night.as_of, night.known_at)
    claim = publisher.claim(unit, Content(f"{kind} {night.as_of}", EXTRACT))
    assert isinstance(claim, Claim)
    write(publisher.stage(claim))
    publisher.seal(claim)
    publisher.load(claim)
    shown = publisher.publish(claim)
    return Result(kind, shown.run_id, shown.revision, shown.rows, shown.folder, new=True)
