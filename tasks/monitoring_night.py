"""Reads a published night as it is watched: each bucket by itself, and what each champion says of its customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.drift_price import Part, Terms, keep_by
from churn.monitoring import (
    Night,
    Numbers,
    PartFacts,
    Reasons,
    Watched,
    bins_of,
    card_for_bins,
    first_reasons,
    numbers_of,
    together,
)
from churn.monitoring_scores import Scores, is_open
from schemas.monitoring import EVERYTHING
from schemas.outreach import STATUSES
from schemas.scores import SCORES
from store import monitoring
from store.artifacts import Model, load_model
from store.lake import bucket_file, read_parquet
from store.settings import Settings
from tasks.monitoring_past import a_month_ago, last_undoubted, matured_apart
from tasks.monitoring_runs import FIRST_REASON, Published, score_columns, values_of, with_reasons
from tasks.scoring import base_rows


@dataclass(frozen=True, slots=True, eq=False)
class _Bucket:
    """A bucket's scores, statuses and values as the policy has them, whom its actions are meant for and what tells it,
    and for each model its customers' places, bins and numbers.
    """

    scores: pa.Table
    status: pa.ChunkedArray
    value: np.ndarray
    keep: np.ndarray
    causes: pa.Table
    by_model: Mapping[str, tuple[np.ndarray, np.ndarray, Mapping[str, Numbers]]]


def as_watched(published: Published) -> Night:
    """The night with all that it is held against."""
    settings, base, as_of = published.settings, published.contract.name, published.night.as_of
    with ThreadPoolExecutor(settings.cores) as threads:
        buckets = list(threads.map(lambda bucket: _bucket(published, bucket), published.night.every_bucket))
    rows, terms = pa.concat_tables([bucket.scores for bucket in buckets]), Terms.of(published.policy)
    scores, (before, reasons_before) = _scores(rows, buckets), a_month_ago(published)
    return Night(
        watched=Watched(base, as_of, published.scores.run_id),
        scores=scores,
        parts=_parts(buckets, settings),
        terms=terms,
        reasons=Reasons(first_reasons(scores, rows[FIRST_REASON], terms), reasons_before),
        before=before,
        earlier=last_undoubted(published),
        backtest=matured_apart(published),
        lift=monitoring.latest_lift(settings, base, published.night.known_at),
    )


def _bucket(published: Published, bucket: int) -> _Bucket:
    """One bucket's part of everything; scores, statuses and customers are in the order of the key."""
    file = bucket_file(bucket)
    scores = read_parquet([published.scores.folder / SCORES.name / file], score_columns(published.policy))
    told = read_parquet([published.list.folder / STATUSES.name / file], ["status", "customer_value"])
    digests = scores["model_digest"].cast(pa.string())
    models = {digest: load_model(digest, published.settings) for digest in pc.unique(digests).to_pylist()}
    names = {feature.name for model in models.values() for feature in card_for_bins(model.model).features}
    terms = Terms.of(published.policy)
    rows = base_rows(published.night, bucket, sorted({published.contract.key, *names, *terms.columns}))
    by_model = {each: _of_model(model, rows, np.asarray(pc.equal(digests, each))) for each, model in models.items()}
    causes = rows.select([published.contract.key, *terms.columns])
    keep = keep_by(with_reasons(causes, scores), terms.actions)
    return _Bucket(scores, told["status"].cast(pa.string()), values_of(told, scores), keep, causes, by_model)


def _of_model(model: Model, rows: pa.Table, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Numbers]]:
    card, places = card_for_bins(model.model), np.flatnonzero(theirs)
    own = rows if len(places) == rows.num_rows else rows.take(pa.array(places))
    numbers = {feature.name: numbers_of(feature, own[feature.name]) for feature in card.features}
    return places, bins_of(card, own), numbers


def _scores(rows: pa.Table, buckets: Sequence[_Bucket]) -> Scores:
    return Scores(
        customer_id=rows["customer_id"].cast(pa.string()).combine_chunks(),
        segment=rows["segment"].cast(pa.string()).combine_chunks(),
        log_odds=rows["log_odds"].to_numpy(),
        customer_value=np.concatenate([bucket.value for bucket in buckets]),
        open=np.concatenate([is_open(bucket.status.combine_chunks()) for bucket in buckets]),
        keep=np.concatenate([bucket.keep for bucket in buckets]),
    )


def _parts(buckets: Sequence[_Bucket], settings: Settings) -> tuple[PartFacts, ...]:
    """The customers of each model, from all buckets."""
    digests = sorted({digest for bucket in buckets for digest in bucket.by_model})
    places = {digest: _place(digest, buckets) if len(digests) > 1 else EVERYTHING for digest in digests}
    return tuple(_part(digest, places[digest], buckets, settings) for digest in digests)


def _place(digest: str, buckets: Sequence[_Bucket]) -> str:
    """The segments whose customers the model scored: one that learnt from all may hold any place."""
    theirs = [bucket.scores for bucket in buckets if digest in bucket.by_model]
    scored = pa.concat_tables(
        [rows.filter(pc.equal(rows["model_digest"].cast(pa.string()), digest)) for rows in theirs]
    )
    return ", ".join(sorted(pc.unique(scored["segment"].cast(pa.string())).to_pylist()))


def _part(digest: str, place: str, buckets: Sequence[_Bucket], settings: Settings) -> PartFacts:
    model = load_model(digest, settings)
    starts = np.cumsum([0, *(bucket.scores.num_rows for bucket in buckets)])
    pairs = zip(starts, buckets, strict=False)
    theirs = [(start, bucket.by_model[digest]) for start, bucket in pairs if digest in bucket.by_model]
    rows = np.concatenate([start + places for start, (places, _, _) in theirs])
    bins = np.concatenate([bins for _, (_, bins, _) in theirs], axis=1)
    causes = pa.concat_tables([bucket.causes for bucket in buckets]).take(pa.array(rows))
    card = card_for_bins(model.model)
    numbers = {f.name: together([numbers[f.name] for _, (_, _, numbers) in theirs]) for f in card.features}
    return PartFacts(Part(place, card, model.manifest.reference, rows, bins, causes), model.model, numbers)
