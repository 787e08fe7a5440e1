"""Whom drift alarms: ninety noisy nights, a key column and an irrelevant one gone to zero, beside two usual rules."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.drift_whole import Base, whole_watch_seconds
from churn.alarms import Alarm, EarlierNights, Standing, alarms_of
from churn.contract import arrow_schema
from churn.drift import Bins
from churn.drift_price import Part, Terms
from churn.findings import WORTH_A_PAGE
from churn.likeness import Earlier
from churn.metrics import probability
from churn.monitoring import Night, PartFacts, Reasons, Watched, bins_of, numbers_of, watch
from churn.monitoring_scores import Before, Scores
from churn.scorecard import Feature, Floats, Kind, Scorecard, Term
from schemas.monitoring import AlarmKind, AlarmState
from schemas.outreach import OUTREACH, STATUSES
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.artifacts import model_of, save_model
from store.claims import Unit
from store.contracts import read_contract
from store.lake import bucket_file, write_parquet
from store.policies import read_policy
from store.runs import Run
from store.settings import current_settings, settle_libraries
from tasks.checks import QUARANTINE as ASIDE
from tasks.monitoring_night import as_watched
from tasks.monitoring_runs import Published
from tasks.night import Night as NightOfTasks
from tests.models import trained

SEED, BUCKETS, CUTS = 42, 16, 62
FIRST = date(2026, 1, 1)
NOISE = 0.01  # standard deviations, by which each feature moves each night
# What the model looks at, from the key column down; ten of the twenty columns move nothing.
WEIGHTS = (0.8, 0.6, 0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, *(0.0,) * 10)
NAMES = tuple(f"feature_{number:02d}" for number in range(len(WEIGHTS)))
KEY, IRRELEVANT = NAMES[0], NAMES[-1]
POLICY = "default"  # whoever is worth it is called
LISTED = 0.004  # of the base, each night
KS_AT_5_PERCENT = 1.358  # times sqrt(2 / n): the two-sample statistic beyond which p < .05 (Smirnov 1948)
# As Evidently documents its default for more than a thousand rows: a numerical column has drifted where the Wasserstein
# distance, in standard deviations of the reference, reaches 0.1; the data set has, where half of its columns have.
WASSERSTEIN, OF_THE_COLUMNS = 0.1, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The customers that the model learnt from, who come again each night, and the model; `in_order` are their numbers,
    each column in ascending order.
    """

    numbers: Floats
    in_order: Floats
    value: Floats
    card: Scorecard
    reference: dict[str, list[float]]
    keys: pa.Array


@dataclass(frozen=True, slots=True)
class Ruled:
    """What each rule says of a night: ours by its alarms, the columns that KS and Wasserstein call drifted.

    `order_kept` is the rank correlation of its scores with those of the night before.
    """

    alarms: tuple[Alarm, ...]
    by_ks: int
    by_evidently: int
    order_kept: float


def main() -> None:
    """Lives the nights, breaks two more and a join on a third, times one from files, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--nights", type=int, default=90)
    chosen = parser.parse_args()
    world = world_of(chosen.customers)
    print(json.dumps(measured(world, chosen.nights)))


def world_of(customers: int) -> World:
    """Customers with twenty normal columns, and a scorecard that is right about them."""
    dice = np.random.default_rng(SEED)
    numbers = dice.standard_normal((len(WEIGHTS), customers))
    features, terms = [], []
    for place, (name, weight) in enumerate(zip(NAMES, WEIGHTS, strict=True)):
        cuts = np.quantile(numbers[place], np.linspace(0.0, 1.0, CUTS + 2)[1:-1])
        middles = np.array([cuts[0] - 0.3, *((low + high) / 2 for low, high in pairwise(cuts)), cuts[-1] + 0.3])
        features.append(Feature(name, Kind.NUMBER, name, cuts=cuts))
        terms.append(Term((place,), (np.arange(len(middles) + 1),), np.concatenate([[0.0], weight * middles])))
    card = Scorecard(-4.4, tuple(features), tuple(terms), 0.02)
    bins = bins_of(card, table_of(numbers))
    spread = zip(features, bins, strict=True)
    reference = {each.name: (np.bincount(row, minlength=each.bins) / customers).tolist() for each, row in spread}
    keys = pa.array([f"C{number:08d}" for number in range(customers)])
    return World(numbers, np.sort(numbers), dice.gamma(4.0, 75.0, customers), card, reference, keys)


def table_of(numbers: Floats) -> pa.Table:
    """The columns as the snapshot has them."""
    return pa.table(dict(zip(NAMES, numbers, strict=True)))


def measured(world: World, nights: int) -> dict[str, object]:
    """Everything that the last line says."""
    noisy = list(lived(world, noisy_nights(world, nights)))
    broken = {name: next(lived(world, [zeroed(world, name)], after=noisy)) for name in (KEY, IRRELEVANT)}
    wrong = next(lived(world, [given_to_others(world)], after=noisy))
    named = [alarm.finding for alarm in broken[KEY].alarms if alarm.finding.subject == KEY]
    return {
        "customers": len(world.value),
        "noisy_nights": nights,
        "alarms": sum(len(night.alarms) for night in noisy),
        "ks_alarm_nights": sum(night.by_ks > 0 for night in noisy),
        "evidently_alarm_nights": sum(night.by_evidently >= OF_THE_COLUMNS * len(NAMES) for night in noisy),
        "key_column_nights_to_alarm": 0 if named else None,
        "key_column_money": round(named[0].money or 0.0) if named else None,
        "key_column_money_share": round(named[0].size * WORTH_A_PAGE, 3) if named else None,
        "key_column_by_evidently": broken[KEY].by_evidently >= OF_THE_COLUMNS * len(NAMES),
        "key_column_columns_by_evidently": broken[KEY].by_evidently,
        "irrelevant_alarms": len(broken[IRRELEVANT].alarms),
        "irrelevant_by_ks": broken[IRRELEVANT].by_ks > 0,
        "wrong_join_nights_to_alarm": 0 if AlarmKind.IDENTITY in {one.finding.kind for one in wrong.alarms} else None,
        "wrong_join_alarms": len(wrong.alarms),
        "noisy_order_kept": round(min(night.order_kept for night in noisy), 4),
        "seconds_per_night": round(seconds_per_night(world), 1),
        **{name: round(seconds, 1) for name, seconds in _whole(world).items()},
    }


def noisy_nights(world: World, nights: int) -> Iterator[Floats]:
    """The same customers, each column moved by as little as no list should mind."""
    dice = np.random.default_rng(SEED + 1)
    for _ in range(nights):
        yield world.numbers + NOISE * dice.standard_normal((len(NAMES), 1))


def zeroed(world: World, name: str) -> Floats:
    """The customers of a night on which one column arrived as zeros."""
    numbers = world.numbers.copy()
    numbers[NAMES.index(name)] = 0.0
    return numbers


def given_to_others(world: World) -> Floats:
    """The customers of a night on which a join gave each one's row to somebody else."""
    return np.asarray(world.numbers[:, np.random.default_rng(SEED + 2).permutation(len(world.value))])


def lived(world: World, nights: Iterator[Floats] | Sequence[Floats], after: Sequence[Ruled] = ()) -> Iterator[Ruled]:
    """Each night as it is watched, with the memory of the nights before."""
    before = Before(FIRST - timedelta(days=28), scores_of(world, bins_of(world.card, table_of(world.numbers))))
    earlier = Earlier(before.as_of, world.keys, before.scores.log_odds)
    standings = {one.finding.key: _standing(one, len(after)) for night in after for one in night.alarms}
    for number, numbers in enumerate(nights, start=len(after)):
        as_of, last = FIRST + timedelta(days=number), FIRST + timedelta(days=number - 1)
        night = replace(night_of(world, numbers, as_of, before), earlier=earlier)
        found = watch(night)
        alarms = tuple(alarms_of(found.findings, as_of, EarlierNights(standings, last)))
        standings |= {one.finding.key: Standing(one.finding.key, as_of, one.state, one.raised_as_of) for one in alarms}
        raised = tuple(one for one in alarms if one.state is AlarmState.RAISED)
        order_kept = found.scores["order_kept"][0].as_py()
        yield Ruled(raised, by_ks(world, night.parts[0].part.bins), by_evidently(world, numbers), order_kept)
        earlier = Earlier(as_of, world.keys, night.scores.log_odds)


def _standing(alarm: Alarm, nights: int) -> Standing:
    return Standing(alarm.finding.key, FIRST + timedelta(days=nights - 1), alarm.state, alarm.raised_as_of)


def night_of(world: World, numbers: Floats, as_of: date, before: Before) -> Night:
    """A night in memory as the task hands it to be watched."""
    rows = table_of(numbers)
    bins = bins_of(world.card, rows)
    part = Part("all", world.card, world.reference, np.arange(len(world.value)), bins)
    told = {feature.name: numbers_of(feature, rows[feature.name]) for feature in world.card.features}
    terms = Terms(read_policy(POLICY).policy.actions, int(LISTED * len(world.value)))
    facts, scores = (PartFacts(part, world.card, told),), scores_of(world, bins)
    return Night(Watched("telco", as_of, "run"), scores, facts, terms, Reasons({}, {}), before)


def scores_of(world: World, bins: np.ndarray) -> Scores:
    """The scores that the card gives."""
    addends = [term.table[row] for term, row in zip(world.card.terms, bins, strict=True)]
    segment = pa.repeat("all", len(world.value))
    everybody, keep = np.ones(len(world.value), np.bool_), read_policy(POLICY).policy.actions[0].keep_probability
    log_odds = world.card.intercept + np.sum(addends, axis=0)
    return Scores(world.keys, segment, log_odds, world.value, everybody, np.full((len(world.value), 1), keep))


def by_ks(world: World, bins: Bins) -> int:
    """How many columns the two-sample test calls drifted at p < .05.

    The statistic is told from the shares at the model's cuts, which can only make it smaller.
    """
    many, found = len(world.value), 0
    for feature, row in zip(world.card.features, bins, strict=True):
        now = np.bincount(row, minlength=feature.bins) / many
        gap = np.abs(np.cumsum(now - np.array(world.reference[feature.name])))
        found += bool(gap.max() > KS_AT_5_PERCENT * np.sqrt(2.0 / many))
    return found


def by_evidently(world: World, numbers: Floats) -> int:
    """How many columns Evidently's default calls drifted.

    Of two samples of one size the Wasserstein distance is the mean gap between their values in order.
    """
    pairs = zip(world.in_order, numbers, strict=True)
    return sum(bool(np.abs(np.sort(now) - then).mean() / then.std() >= WASSERSTEIN) for then, now in pairs)


def seconds_per_night(world: World) -> float:
    """How long a night takes to be read from its files and watched, against a month ago too."""
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as home:
        os.environ |= {"CHURN_HOME": home, "CHURN_MODE": "development"}
        settle_libraries(current_settings(), quiet=True)
        published = written(world, Path(home))
        before = Before(FIRST, scores_of(world, bins_of(world.card, table_of(world.numbers))))
        began = time.perf_counter()
        watch(replace(as_watched(published), before=before))
        return time.perf_counter() - began


def _whole(world: World) -> dict[str, float]:
    return whole_watch_seconds(Base(table_of(world.numbers), world.card, world.reference))


def written(world: World, home: Path) -> Published:
    """A night's files as its runs leave them."""
    settings, contract, policy = current_settings(), read_contract("telco"), read_policy(POLICY)
    learnt = replace(trained(world.card, table_of(world.numbers[:, :20])), reference=world.reference)
    digest = save_model(model_of(learnt, contract, "benchmark"), settings)
    edges = np.linspace(0, len(world.value), BUCKETS + 1).astype(int).tolist()
    for bucket, (first, last) in enumerate(pairwise(edges)):
        write_bucket(world, home, bucket_file(bucket), slice(first, last), digest)
    write_parquet(arrow_schema(QUARANTINE).empty_table(), home / "snapshot" / ASIDE)
    write_parquet(arrow_schema(OUTREACH).empty_table(), home / "list" / OUTREACH.name / "list.parquet")
    known_at = datetime(2026, 1, 1)  # noqa: DTZ001 - business time has no zone
    night = NightOfTasks("telco", "telco", FIRST, known_at, home, "e", home / "snapshot", BUCKETS)
    scores, listed = (run_of(home / name, name, known_at) for name in ("scores", "list"))
    return Published(night, scores, listed, contract, policy.policy, settings)


def write_bucket(world: World, home: Path, file: str, rows: slice, digest: str) -> None:
    """The customers, scores and statuses of a bucket."""
    customers = table_of(world.numbers[:, rows]).append_column("customer_id", world.keys[rows])
    log_odds = world.card.intercept + sum(
        term.table[row] for term, row in zip(world.card.terms, bins_of(world.card, customers), strict=True)
    )
    count = customers.num_rows
    scores = {
        "customer_id": world.keys[rows],
        "segment": pa.repeat("all", count),
        "log_odds": log_odds,
        "probability": probability(np.asarray(log_odds)),
        "model_digest": pa.repeat(digest, count).dictionary_encode(),
        "reason_1_feature": pa.repeat(KEY, count),
    }
    statuses = {
        "customer_id": world.keys[rows],
        "status": pa.repeat("beyond_capacity", count).dictionary_encode(),
        "customer_value": world.value[rows],
    }
    write_parquet(customers, home / "snapshot" / file)
    write_parquet(pa.table(scores), home / "scores" / SCORES.name / file)
    write_parquet(pa.table(statuses), home / "list" / STATUSES.name / file)


def run_of(folder: Path, kind: str, known_at: datetime) -> Run:
    """A run whose files lie in the folder."""
    now = datetime.now(UTC).replace(tzinfo=None)
    unit = Unit("telco", kind, FIRST, known_at)
    return Run(unit, kind, 1, 1, 0, folder, "", "", "e", now, now, shown=True, current=True)


if __name__ == "__main__":
    main()
