"""How long a list takes and how much memory: a large scored base with households, contacts and a wave of yesterday."""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.contract import arrow_schema
from schemas.outreach import STATUSES
from schemas.policy import Team
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.claims import Content, Unit
from store.contracts import read_contract
from store.intervention_tables import intervention
from store.lake import bucket_file, read_parquet, rows_of, write_parquet
from store.migrations import bring_up_to_date
from store.policies import PolicyInForce, read_policy
from store.publication import open_publisher
from store.settings import current_settings, settle_libraries
from store.tables import engine_for
from tasks.checks import QUARANTINE as ASIDE
from tasks.night import Night, Result
from tasks.outreach import decision, write_decision

TONIGHT = date(2026, 3, 1)
BUCKETS, TEAMS, CAPACITY = 16, 8, 500
CONTACTED = 0.2  # of the base, in the last half year
SEED = 42
FEATURES = (
    "complaints_open",
    "handset_age_days",
    "price_change_6m",
    *("tenure_months", "minutes_trend_3m", "days_out_of_contract", "payments_late_6m", "region", "overage_share"),
)


def main() -> None:
    """Writes the base in a process of its own, decides its list in this one, and prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-outreach-") as home:
        os.environ["CHURN_HOME"] = home
        settle_libraries(current_settings(), quiet=True)
        with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
            elsewhere.submit(write_base, Path(home), chosen.customers).result()
        print(json.dumps(_measured(Path(home))))


def write_base(home: Path, customers: int) -> None:
    """Writes snapshot, scores, policy and contacts as a night finds them, and publishes yesterday's list."""
    random = np.random.default_rng(SEED)
    edges = np.linspace(0, customers, BUCKETS + 1).astype(int).tolist()
    for bucket, (first, last) in enumerate(pairwise(edges)):
        _write_bucket(home, bucket, np.arange(first, last), random)
    write_parquet(arrow_schema(QUARANTINE).empty_table(), home / "snapshot" / ASIDE)
    (home / "policy.yaml").write_text(json.dumps(_policy()), encoding="utf-8")  # JSON is YAML, too
    _write_contacts(customers, random)
    _publish_yesterday(home)


def night_of(home: Path, as_of: date) -> Night:
    """The night of that date in the base."""
    known_at = datetime.combine(as_of, datetime.min.time())
    return Night("telco", "telco", as_of, known_at, home / "extract", "e", home / "snapshot", BUCKETS)


def scores_of(home: Path) -> Result:
    """The base's scores."""
    return Result("scores", "run", 1, 0, home / "scores", new=True)


def in_force(home: Path) -> PolicyInForce:
    """The base's policy."""
    return read_policy(str(home / "policy.yaml"))


def _write_bucket(home: Path, bucket: int, numbers: np.ndarray, random: np.random.Generator) -> None:
    """Customers whose risk, value and reasons are spread about as the simulated telecom's."""
    count, columns = len(numbers), {}
    keys = pa.array([f"C{number:08d}" for number in numbers.tolist()])
    risk = np.clip(random.beta(0.8, 30.0, count), 1e-4, 0.95)
    columns["as_of"] = pa.repeat(pa.scalar(TONIGHT), count)
    columns["customer_id"] = keys
    columns["segment"] = pa.array(np.where(random.random(count) < 0.3, "prepaid", "postpaid"))
    columns["probability"] = risk
    columns["customer_value"] = random.gamma(4.0, 75.0, count)
    for place in (1, 2, 3):
        columns[f"reason_{place}_feature"] = _drawn(random, count, FEATURES)
        columns[f"reason_{place}_value"] = _drawn(random, count, [f"value {number}" for number in range(400)])
    columns["model_digest"] = pa.repeat(pa.scalar("m" * 64), count)
    write_parquet(pa.table(columns), home / "scores" / SCORES.name / bucket_file(bucket))
    write_parquet(_customers(keys, numbers, random), home / "snapshot" / bucket_file(bucket))


def _customers(keys: pa.Array, numbers: np.ndarray, random: np.random.Generator) -> pa.Table:
    """Half of the customers live in households of two or three, one in six may not be contacted; what ails them."""
    count = len(numbers)
    alone = random.random(count) < 0.5
    return pa.table(
        {
            "customer_id": keys,
            "household_id": pa.array([f"H{number // 3:07d}" for number in numbers.tolist()], mask=alone),
            "region": _drawn(random, count, [f"R{number:02d}" for number in range(1, 41)]),
            "do_not_contact": random.random(count) < 0.05,
            "marketing_consent": random.random(count) < 0.88,
            "complaints_open": random.poisson(0.02, count),
            "tickets_open": random.poisson(0.06, count),
            "handset_age_days": pa.array(random.integers(0, 1_500, count), mask=random.random(count) < 0.1),
            "price_change_6m": np.where(random.random(count) < 0.2, 2.5, 0.0),
        }
    )


def _drawn(random: np.random.Generator, count: int, words: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(random.integers(0, len(words), count).astype(np.int32), words)


def _policy() -> dict[str, object]:
    """The telecom's own policy, with eight teams of five regions each."""
    policy = read_policy("telco").policy
    teams = [
        Team(name=f"team_{number}", capacity=CAPACITY, of=tuple(f"R{5 * number + place:02d}" for place in range(1, 6)))
        for number in range(TEAMS)
    ]
    teams[-1] = teams[-1].model_copy(update={"of": ()})
    channels = (policy.channels[0].model_copy(update={"capacity": TEAMS * CAPACITY * 3 // 4}), policy.channels[1])
    return policy.model_copy(update={"teams": tuple(teams), "channels": channels}).model_dump(mode="json")


def _write_contacts(customers: int, random: np.random.Generator) -> None:
    """What teams wrote back of a fifth of the base, in the last half year."""
    chosen = random.choice(customers, int(customers * CONTACTED), replace=False)
    days = random.integers(1, 180, len(chosen))
    engine = engine_for(current_settings().database_url)
    bring_up_to_date(engine)
    rows = [
        {
            "contract": "telco",
            "key": f"k{number}",
            "customer_id": f"C{customer:08d}",
            "as_of": TONIGHT - timedelta(int(day)),
            "action": "service_call",
            "channel": "phone" if number % 2 else "message",
            "team": "team_1",
            "event": ("attempted", "reached", "accepted", "refused")[number % 4],
            "agent": "agent",
            "occurred_at": datetime.combine(TONIGHT, datetime.min.time()) - timedelta(int(day)),
            "recorded_at": datetime.combine(TONIGHT, datetime.min.time()) - timedelta(int(day)),
        }
        for number, (customer, day) in enumerate(zip(chosen.tolist(), days, strict=True))
    ]
    with engine.begin() as connection:
        connection.execute(intervention.insert(), rows)


def _publish_yesterday(home: Path) -> None:
    """Yesterday's list, decided and published as every night's."""
    night = night_of(home, TONIGHT - timedelta(1))
    publisher = open_publisher(current_settings())
    claim = publisher.claim(Unit("telco", "outreach", night.as_of, night.known_at), Content("k", "e"))
    write_decision(night, scores_of(home), decision(night, scores_of(home), in_force(home)), publisher.stage(claim))
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


def _measured(home: Path) -> dict[str, float]:
    night, scores, policy = night_of(home, TONIGHT), scores_of(home), in_force(home)
    read_contract(night.contract)  # which a night has done by then, as it has imported what pyarrow imports
    pa.array([0])
    before = _peak_mb()
    began, worked = time.perf_counter(), time.process_time()
    decided = decision(night, scores, policy)
    drawn = time.perf_counter()
    write_decision(night, scores, decided, home / "list")
    ended = time.perf_counter()
    files = sorted((home / "list" / STATUSES.name).glob("*.parquet"))
    return {
        **_counts(files),
        "customers": sum(map(rows_of, files)),
        "seconds_decision": round(drawn - began, 2),
        "seconds": round(ended - began, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "cores": current_settings().cores,
        "load": round(os.getloadavg()[0], 1),
        "peak_mb_before": round(before),
        "peak_mb": round(_peak_mb()),
    }


def _counts(files: Sequence[Path]) -> dict[str, int]:
    counted = pc.value_counts(read_parquet(files, ["status"])["status"].cast(pa.string()))
    return {row["values"]: row["counts"] for row in counted.to_pylist()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
