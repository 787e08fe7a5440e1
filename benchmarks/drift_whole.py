"""How long the whole watch of a night takes, from published files to its page: looking back, reading, pricing, keeping.

A night of a month ago is published, too, and its horizon is over: it is read for both, what became of it and what
tonight is held against. What the orchestrator is told, with its picture and its text, is not counted.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from churn.contract import arrow_schema
from churn.scorecard import Scorecard
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.artifacts import model_of, save_model
from store.claims import Claim, Content, Unit
from store.contracts import read_contract
from store.lake import bucket_file, describe, write_manifest, write_parquet
from store.policies import read_policy
from store.publication import open_publisher
from store.settings import current_settings, settle_libraries
from tasks.backtest import follow_up
from tasks.checks import QUARANTINE as ASIDE
from tasks.monitoring import watch_night
from tasks.night import Night, Result
from tasks.outreach import decision, write_decision
from tests.models import trained
from tests.small_telecom import write_extract
from tests.watched_nights import with_what_lacks

EXTRACT, BUCKETS, REGIONS, LEAVES = "e" * 64, 16, 40, 50  # one in fifty leaves
A_MONTH_AGO, TONIGHT = date(2026, 1, 1), date(2026, 2, 1)
COLUMNS_OF_A_CUSTOMER = ("segment", "region", "handset_age_days", "monthly_revenue")


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """Customers with what the model looks at, in the order of their keys, and the model with the spread it learnt."""

    features: pa.Table
    card: Scorecard
    reference: dict[str, list[float]]

    @property
    def buckets(self) -> Iterator[tuple[int, pa.Table]]:
        """Each bucket's number and its customers, with every column of the contract."""
        edges = np.linspace(0, self.features.num_rows, BUCKETS + 1).astype(int).tolist()
        for bucket, (first, last) in enumerate(pairwise(edges)):
            yield bucket, _customers(self.features.slice(first, last - first), first)


def whole_watch_seconds(base: Base) -> dict[str, float]:
    """The seconds of looking back on the night of a month ago, and of watching tonight against it."""
    with tempfile.TemporaryDirectory(prefix="churn-watch-") as home:
        os.environ |= {"CHURN_HOME": home, "CHURN_MODE": "development"}
        settle_libraries(current_settings(), quiet=True)
        _write_departures(base)
        learnt = replace(trained(base.card, base.features.slice(0, 20)), reference=base.reference)
        digest = save_model(model_of(learnt, read_contract("telco"), "benchmark"), current_settings())
        for as_of in (A_MONTH_AGO, TONIGHT):
            _publish_night(base, as_of, digest)
        began = time.perf_counter()
        looked_back = follow_up.fn("telco", TONIGHT)
        between = time.perf_counter()
        watch_night.fn("telco", TONIGHT)
        ended = time.perf_counter()
    if looked_back != 1:
        raise SystemExit(f"{looked_back} nights were looked back on, and one should be")
    return {"follow_up_seconds": between - began, "whole_watch_seconds": ended - began}


def _customers(features: pa.Table, first: int) -> pa.Table:
    dice, many = np.random.default_rng(first), features.num_rows
    rows = features.append_column("customer_id", pa.array([f"C{first + number:08d}" for number in range(many)]))
    drawn = (
        np.where(dice.random(many) < 0.3, "prepaid", "postpaid"),
        np.char.add("R", (1 + dice.integers(0, REGIONS, many)).astype(str)),
        dice.integers(250, 900, many),
        dice.gamma(4.0, 12.0, many),
    )
    for name, values in zip(COLUMNS_OF_A_CUSTOMER, drawn, strict=True):
        rows = rows.append_column(name, pa.array(values))
    return with_what_lacks(rows)


def _write_departures(base: Base) -> None:
    """An extract that tells who left a week after the night of a month ago, and has facts from tonight."""
    folder, left = open_publisher(current_settings()).lake.extract("telco", EXTRACT), A_MONTH_AGO + timedelta(days=7)
    lines = [f"C{number:08d}  {left}  {left}" for number in range(0, base.features.num_rows, LEAVES)]
    write_extract(folder, churn_events="\n".join(["customer_id  churned_on  recorded_at", *lines]))
    facts = {"contract": "telco", "rows": {}, "newest": _midnight(TONIGHT).isoformat()}
    write_manifest(describe(folder, facts), folder)


def _publish_night(base: Base, as_of: date, digest: str) -> None:
    """The night's customers, scores and list, as its flow publishes them."""
    publisher, known_at = open_publisher(current_settings()), _midnight(as_of)
    snapshot, extract = (
        publisher.lake.snapshot("telco", as_of, known_at, EXTRACT),
        publisher.lake.extract("telco", EXTRACT),
    )
    for bucket, rows in base.buckets:
        write_parquet(rows, snapshot / bucket_file(bucket))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), snapshot / ASIDE)
    write_manifest(describe(snapshot, {"extract": EXTRACT}), snapshot)
    night = Night("telco", "telco", as_of, known_at, extract, EXTRACT, snapshot, BUCKETS)
    scores = _publish(night, "scores", lambda folder: _write_scores(base, as_of, digest, folder))
    rules = read_policy("telco")
    _publish(night, "outreach", lambda folder: write_decision(night, scores, decision(night, scores, rules), folder))


def _write_scores(base: Base, as_of: date, digest: str, folder: Path) -> None:
    stamp = Stamp(as_of, read_contract("telco"), 1, digest)
    scored = {bucket: score_rows(base.card, rows, stamp) for bucket, rows in base.buckets}
    edges = percentile_edges(rows["log_odds"].to_numpy() for rows in scored.values())
    for bucket, rows in scored.items():
        write_parquet(with_percentile(rows, edges), folder / SCORES.name / bucket_file(bucket))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), folder / QUARANTINE.name / ASIDE)


def _publish(night: Night, kind: str, write: Callable[[Path], None]) -> Result:
    publisher = open_publisher(current_settings())
    claim = publisher.claim(Unit("telco", kind, night.as_of, night.known_at), Content(f"{kind} {night.as_of}", EXTRACT))
    if not isinstance(claim, Claim):
        raise SystemExit(f"the {kind} of {night.as_of} cannot be published: {claim}")
    write(publisher.stage(claim))
    publisher.seal(claim)
    publisher.load(claim)
    shown = publisher.publish(claim)
    return Result(kind, shown.run_id, shown.revision, shown.rows, shown.folder, new=True)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - business time has no zone
