"""Sees what became of past nights' scores: reads them, asks the source who left, and keeps what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.backtest import SEGMENT, Matured, backtest_rows, untouched
from churn.campaign import PUBLISHED, Campaign
from churn.errors import ArtifactRefused
from churn.labels import treated
from churn.outcomes import matured, told_until
from churn.scorecard import Floats
from schemas.columns import Role
from schemas.contract import Contract
from schemas.manifest import ModelManifest
from schemas.scores import SCORES
from store.artifacts import load_model
from store.contracts import read_contract
from store.decisions import snapshot_of
from store.interventions import events_since
from store.lake import UNREADABLE, read_parquet
from store.monitoring import backtested_runs, keep_backtest
from store.publication import Publisher, open_publisher
from store.runs import Run, published_runs, shown_run
from store.settings import Settings, current_settings
from store.snapshots import known_departures
from store.source import read_extract
from tasks.labels import with_shares
from tasks.lift import keep_waves, members_of
from tasks.night import Night
from tasks.progress import begun, part_done, warned
from tasks.scoring import base_rows
from tasks.step import LATER, step

STEP = "see what became of past nights"
NIGHTS_AT_ONCE = 31  # of a base that was never looked back on, the newest; the others follow on the next nights
LATE_DAYS = 7  # after somebody left it may be written down
_IN_SCORES = ["customer_id", "segment", "log_odds", "model_version", "model_digest"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is known tonight: who left, and the lists and contacts since before the oldest night that is looked back on.

    `members` are of those lists, with the chance of being held out; `events` are INTERVENTIONS. `told_until` is up to
    when the source tells who left.
    """

    contract: Contract
    publisher: Publisher
    settings: Settings
    departures: pa.Table
    members: pa.Table
    events: pa.Table
    told_until: datetime


@step("see what became of past nights of {contract}", again_after=LATER)
def follow_up(contract: str, as_of: date) -> int:
    """Keeps what became of each published night whose horizon is over by what is known tonight; says of how many.

    A flat contract says of nobody when he left, and so nothing of any night.
    """
    settings, terms = current_settings(), read_contract(contract)
    publisher = open_publisher(settings)
    tonight = shown_run(publisher, terms.name, SCORES.name, as_of)
    if terms.flat or tonight is None or not _extract(publisher, tonight).is_dir():
        return 0
    until = told_until(read_extract(_extract(publisher, tonight)).newest, tonight.unit.known_at)
    ready = _ready(publisher, terms, settings, until)[-NIGHTS_AT_ONCE:]
    if not ready:
        return 0
    begun(STEP)
    asked = _asked(tonight, ready, contract, until)
    return sum(_followed_up(run, asked, len(ready)) for run in ready)


def _followed_up(run: Run, asked: _Asked, of: int) -> bool:
    """Whether it could be seen what became of the night: its model or its files may be gone, or damaged.

    The others are still told of.
    """
    try:
        night = _matured(run, asked)
    except (ArtifactRefused, *UNREADABLE) as failure:
        why = failure.what if isinstance(failure, ArtifactRefused) else f"its files cannot be read: {failure}"
        warned(f"{run}: nobody can say what became of its scores: {why}")
        return False
    keep_backtest(asked.settings, backtest_rows(night))
    part_done(STEP, of)
    return True


def _ready(publisher: Publisher, terms: Contract, settings: Settings, until: datetime) -> list[Run]:
    """The runs whose horizon is over and that are to be looked back on, the oldest night first.

    A run is looked back on as soon as it can be, and once more when also those are known who were written down late.
    """
    seen = backtested_runs(settings, terms.name)
    runs = {
        run.unit.as_of: run
        for run in published_runs(publisher, terms.name)
        if run.unit.kind == SCORES.name and run.shown
    }
    ready, settled = (set(matured(runs, days, until)) for days in (terms.horizon_days, _settled_after(terms)))
    fresh = {as_of for as_of in ready if runs[as_of].run_id not in seen}
    again = {as_of for as_of in settled - fresh if _was_early(runs[as_of], seen[runs[as_of].run_id], terms)}
    return [runs[as_of] for as_of in sorted(fresh | again)]


def _was_early(run: Run, known_at: datetime | None, terms: Contract) -> bool:
    """Whether the night was looked back on before those were known who are written down late."""
    return known_at is not None and not matured([run.unit.as_of], _settled_after(terms), known_at)


def _settled_after(terms: Contract) -> int:
    return terms.horizon_days + LATE_DAYS


def _extract(publisher: Publisher, tonight: Run) -> Path:
    return publisher.lake.extract(tonight.unit.contract, tonight.extract_digest)


def _asked(tonight: Run, ready: list[Run], contract: str, until: datetime) -> _Asked:
    settings, terms, known_at = current_settings(), read_contract(contract), tonight.unit.known_at
    publisher = open_publisher(settings)
    since = ready[0].unit.as_of - timedelta(days=terms.horizon_days)
    waves = [wave for wave in keep_waves.fn(contract) if since <= wave.as_of <= tonight.unit.as_of]
    events = events_since(settings, terms.name, since, known_at=known_at)
    departures = known_departures(_extract(publisher, tonight), terms, known_at)
    members = with_shares(members_of(waves), settings)
    return _Asked(terms, publisher, settings, departures, members, events, until)


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
        known_at=asked.told_until,
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
    called = treated(asked.members, asked.events, [run.unit.as_of], asked.contract.horizon_days)
    return untouched(scores["customer_id"].cast(pa.string()).combine_chunks(), called)


def _told_apart_by(scores: pa.Table, run: Run, asked: _Asked) -> Iterator[tuple[str, pa.DictionaryArray]]:
    """The categories by which a night's errors are looked for, where its customers are still kept and had them."""
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
        for name in (name for name in names if name in rows.column_names):
            yield name, _encoded(rows[name])


def _among(keys: pa.ChunkedArray, wanted: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_in(keys.cast(pa.string()), wanted.cast(pa.string()).combine_chunks()))


def _encoded(texts: pa.ChunkedArray) -> pa.DictionaryArray:
    return texts.cast(pa.string()).combine_chunks().dictionary_encode()
