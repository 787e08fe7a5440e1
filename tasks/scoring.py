"""Scores the base with reasons, bucket by bucket, each segment with the champion that the night is pinned to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from churn.errors import NoChampion
from churn.estimators import Estimator
from churn.quarantine import without_quarantined
from churn.scorecard import Floats, Scorecard
from churn.scoring import Stamp, percentile_edges, require_features, score_rows, with_percentile
from churn.segments import ALL, scored_by_segment
from schemas.contract import Contract
from schemas.scores import SCORES
from store.artifacts import load_model
from store.contracts import read_contract
from store.lake import bucket_file, read_parquet, remove_folder, write_parquet
from store.registry import Registry, Version, open_registry
from store.settings import current_settings
from tasks.checks import QUARANTINE
from tasks.night import SCORECARD, Champions, Night, Pinned
from tasks.parameters import FOR_THE_BASE, FOR_THE_LIST
from tasks.progress_page import part_shown
from tasks.step import LATER, SOON, step

STEP = "score with reasons"
FINISH = "write the score files"


@step("pin the champions", again_after=LATER)
def pin_champions(night: Night, reasons: str = FOR_THE_LIST, at: datetime | None = None) -> Champions:
    """Resolves every segment's champion once, verifies its artifact, and sees that it fits.

    `reasons` says whether champions that are no scorecards explain every score or, later, those on the list alone.
    `at` asks for the champions of a moment (naive, UTC) instead of today's. NoChampion where there is none for all,
    since nobody then scores whom no other champion does.
    """
    registry, contract = open_registry(current_settings()), read_contract(night.contract)
    champions = _champions(registry, night.base, at)
    pinned = tuple(_pinned(segment, champions[segment], contract) for segment in sorted(champions))
    return Champions(pinned, explain=reasons == FOR_THE_BASE)


def drafts(night: Night, content_key: str) -> Path:
    """The folder of the scores that lack their percentile, beside the snapshot that they were made from.

    It is named after all that decides them, so that a run finds what one that died before it had scored.
    """
    return night.snapshot / "drafts" / content_key[:16]


def forget(drafts: Path) -> None:
    """Removes the drafts of scores that are published."""
    remove_folder(drafts)


@step("score bucket {bucket}", again_after=SOON)
def score_bucket(champions: Champions, night: Night, drafts: Path, bucket: int) -> None:
    """Writes the bucket's scores with reasons, all but the percentile, which needs the whole base; once."""
    if not (drafts / bucket_file(bucket)).exists():
        write_parquet(_scores(champions, night, bucket), drafts / bucket_file(bucket))
    part_shown(STEP, night.buckets)


@step("draw the percentiles")
def draw_percentiles(night: Night, drafts: Path) -> Floats:
    """Where each percentile of the night's base begins: 99 log-odds."""
    log_odds = (read_parquet([drafts / bucket_file(bucket)], ["log_odds"])["log_odds"] for bucket in night.every_bucket)
    return percentile_edges(column.to_numpy() for column in log_odds)


@step("finish bucket {bucket}", again_after=SOON)
def finish_bucket(edges: Floats, drafts: Path, folder: Path, night: Night, bucket: int) -> None:
    """Adds the percentile to the bucket's scores."""
    file = bucket_file(bucket)
    write_parquet(with_percentile(read_parquet([drafts / file]), edges), folder / SCORES.name / file)
    part_shown(FINISH, night.buckets)


def base_rows(night: Night, bucket: int, columns: list[str] | None = None) -> pa.Table:
    """The customers of a bucket who are scored: the snapshot without the quarantined rows, in order of the key."""
    file = bucket_file(bucket)
    rows = read_parquet([night.snapshot / file], columns)
    return without_quarantined(rows, read_parquet([night.snapshot / QUARANTINE], ["file", "row"]), file)


@lru_cache(maxsize=16)
def model_of(digest: str) -> Scorecard | Estimator:
    """The model of that digest, verified and loaded once in this process: an artifact never changes."""
    return load_model(digest, current_settings()).model


def _scores(champions: Champions, night: Night, bucket: int) -> pa.Table:
    contract = read_contract(night.contract)

    def scores_of(segment: str, rows: pa.Table) -> pa.Table:
        champion = champions.for_segment(segment)
        stamp = Stamp(night.as_of, contract, champion.version, champion.digest)
        return score_rows(model_of(champion.digest), rows, stamp, explain=champions.explain)

    return scored_by_segment(base_rows(night, bucket), contract, champions.segments, scores_of)


def _champions(registry: Registry, base: str, at: datetime | None) -> Mapping[str, Version]:
    if at is None:
        return {ALL: registry.resolve(base), **registry.resolve_all(base)}
    numbers = registry.champions_at(base, at)
    if ALL not in numbers:
        raise NoChampion(f"nobody was champion at {at} UTC", where=base, to_do="Ask for the champions of today.")
    return {segment: registry.version(base, number) for segment, number in numbers.items()}


def _pinned(segment: str, champion: Version, contract: Contract) -> Pinned:
    model = model_of(champion.digest)
    require_features(model, contract)
    kind = SCORECARD if isinstance(model, Scorecard) else model.kind
    return Pinned(segment, champion.version, champion.digest, kind, model.base_rate)
