"""Sees what became of past nights' scores: reads them, asks the source who left, and keeps what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.backtest import SEGMENT, Matured, backtest_rows, called_near, untouched
from churn.campaign import PUBLISHED, Campaign
from churn.errors import ArtifactRefused
from churn.outcomes import matured
from churn.scorecard import Floats
from schemas.columns import Role
from schemas.contract import Contract
from schemas.manifest import ModelManifest
from schemas.scores import SCORES
from store.artifacts import load_model
from store.contracts import read_contract
from store.decisions import snapshot_of
from store.interventions import events_since
from store.lake import read_parquet
from store.monitoring import backtested_runs, keep_backtest
from store.publication import Publisher, open_publisher
from store.runs import Run, published_runs, shown_run
from store.settings import Settings, current_settings
from store.snapshots import known_departures
from tasks.labels import members_of
from tasks.lift import keep_waves
from tasks.night import Night
from tasks.progress import begun, part_done, warned
from tasks.scoring import base_rows
from tasks.step import SOON, step

STEP = "see what became of past nights"
NIGHTS_AT_ONCE = 31  # of a base that was never looked back on, the newest; the others follow on the next nights
_IN_SCORES = ["customer_id", "segment", "log_odds", "model_version", "model_digest"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is known tonight: who left, and the lists and contacts since before the oldest night that is looked back on.

    `members` are of those lists, with the chance of being held out; `events` are INTERVENTIONS.
    """

    contract: Contract
    publisher: Publisher
    settings: Settings
    departures: pa.Table
    members: pa.Table
    events: pa.Table


@step("see what became of past nights of {contract}", again_after=SOON)
def follow_up(contract: str, as_of: date) -> int:
    """Keeps what became of each published night whose horizon is over by what is known tonight; says of how many.

    A night is looked back on once. A flat contract says of nobody when he left, and so nothing of any night.
    """
    settings, terms = current_settings(), read_contract(contract)
    publisher = open_publisher(settings)
    tonight = shown_run(publisher, terms.name, SCORES.name, as_of)
    ready = [] if terms.flat or tonight is None else _ready(publisher, terms, tonight, settings)[-NIGHTS_AT_ONCE:]
    if tonight is None or not ready:
        return 0
    begun(STEP)
    asked = _asked(tonight, ready, terms, settings)
    return sum(_followed_up(run, asked, len(ready)) for run in ready)


def _followed_up(run: Run, asked: _Asked, of: int) -> bool:
    """Whether it could be seen what became of the night: its model may be gone, and the others are still told of."""
    try:
        keep_backtest(asked.settings, backtest_rows(_matured(run, asked)))
    except ArtifactRefused as refused:
        warned(f"{run}: nobody can say what became of its scores: {refused.what}")
        return False
    part_done(STEP, of)
    return True


def _ready(publisher: Publisher, terms: Contract, tonight: Run, settings: Settings) -> list[Run]:
    """The runs whose horizon is over and that nobody has looked back on, the oldest night first."""
    if not publisher.lake.extract(terms.name, tonight.extract_digest).is_dir():
        return []
    done = backtested_runs(settings, terms.name)
    runs = {
        run.unit.as_of: run
        for run in published_runs(publisher, terms.name)
        if run.unit.kind == SCORES.name and run.shown and run.run_id not in done
    }
    return [runs[as_of] for as_of in matured(runs, terms.horizon_days, tonight.unit.known_at)]


def _asked(tonight: Run, ready: list[Run], terms: Contract, settings: Settings) -> _Asked:
    publisher, known_at = open_publisher(settings), tonight.unit.known_at
    extract = publisher.lake.extract(terms.name, tonight.extract_digest)
    since = ready[0].unit.as_of - timedelta(days=terms.horizon_days)
    waves = [wave for wave in keep_waves.fn(terms.name) if since <= wave.as_of <= tonight.unit.as_of]
    events = events_since(settings, terms.name, since, known_at=known_at)
    departures = known_departures(extract, terms, known_at)
    return _Asked(terms, publisher, settings, departures, members_of(waves, settings), events)


def _matured(run: Run, asked: _Asked) -> Matured:
    scores = read_parquet(sorted((run.folder / SCORES.name).glob("*.parquet")), _IN_SCORES)
    manifests = _manifests(scores, asked.settings)
    main = max(manifests, key=lambda digest: manifests[digest][1])
    campaign = manifests[main][0].campaign
    return Matured(
        contract=asked.contract.name,
        as_of=run.unit.as_of,
        run_id=run.run_id,
        model_version=int(pc.mode(scores["model_version"])[0]["mode"].as_py()),
        labels=_left(scores, run, asked),
        log_odds=scores["log_odds"].to_numpy(),
        weights=_weights(scores, run, asked),
        by={SEGMENT: _encoded(scores["segment"])} | dict(_told_apart_by(scores, run, asked)),
        campaign=Campaign(**campaign.model_dump()) if campaign else PUBLISHED,
        auc_before={manifest.segment: manifest.metrics["auc"] for manifest, _ in manifests.values()},
    )


def _manifests(scores: pa.Table, settings: Settings) -> dict[str, tuple[ModelManifest, int]]:
    """What is known of each model that scored, and how many customers."""
    counts = pc.value_counts(scores["model_digest"].combine_chunks().cast(pa.string())).to_pylist()
    return {each["values"]: (load_model(each["values"], settings).manifest, each["counts"]) for each in counts}


def _left(scores: pa.Table, run: Run, asked: _Asked) -> np.ndarray:
    """1 for who left from the night on, within the horizon."""
    until = run.unit.as_of + timedelta(days=asked.contract.horizon_days)
    day = asked.departures["churned_on"].cast(pa.date32())
    first, end = (pa.scalar(each, pa.date32()) for each in (run.unit.as_of, until))
    gone = asked.departures["customer_id"].filter(pc.and_(pc.greater_equal(day, first), pc.less(day, end)))
    return _among(scores["customer_id"], gone).astype(np.int64)


def _weights(scores: pa.Table, run: Run, asked: _Asked) -> Floats:
    """Who tells what comes without a contact, and of how many."""
    called = called_near(asked.members, asked.events, run.unit.as_of, asked.contract.horizon_days)
    return untouched(scores["customer_id"].cast(pa.string()).combine_chunks(), called)


def _told_apart_by(scores: pa.Table, run: Run, asked: _Asked) -> Iterator[tuple[str, pa.DictionaryArray]]:
    """The categories by which a night's errors are looked for, where its customers are still kept."""
    snapshot = snapshot_of(run, asked.publisher.lake)
    features = asked.contract.features
    names = [column.name for column in features if column.allowed and not column.has(Role.SEGMENT)]
    if snapshot is None or not names:
        return
    buckets = len(list(snapshot.glob("bucket=*.parquet")))
    unit = run.unit
    night = Night(asked.contract.name, unit.contract, unit.as_of, unit.known_at, Path(), "", snapshot, buckets)
    key = asked.contract.key
    rows = pa.concat_tables([base_rows(night, bucket, [key, *names]) for bucket in night.every_bucket])
    if rows[key].cast(pa.string()).equals(scores["customer_id"].cast(pa.string())):
        for name in names:
            yield name, _encoded(rows[name])


def _among(keys: pa.ChunkedArray, wanted: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_in(keys.cast(pa.string()), wanted.cast(pa.string()).combine_chunks()))


def _encoded(texts: pa.ChunkedArray) -> pa.DictionaryArray:
    return texts.cast(pa.string()).combine_chunks().dictionary_encode()
