"""Reads what a watched night is held against: a month ago, and what became of nights that are over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from churn.backtest import apart
from churn.drift_price import Terms, keep_by
from churn.errors import ArtifactRefused
from churn.likeness import Earlier
from churn.monitoring import first_reasons
from churn.monitoring_scores import Before, Scores, is_open
from schemas.outreach import OUTREACH, STATUSES
from schemas.scores import SCORES
from store import monitoring
from store.artifacts import load_model
from store.decisions import snapshot_of
from store.lake import UNREADABLE, read_parquet
from store.publication import Publisher, open_publisher
from store.runs import Run, published_runs, shown_run
from tasks.monitoring_runs import (
    FIRST_REASON,
    Published,
    files_of,
    matured_until,
    score_columns,
    values_of,
    with_reasons,
)
from tasks.progress import warned
from tasks.scoring import base_rows

A_MONTH_AGO = timedelta(days=28)
LONGEST_DOUBT = timedelta(days=62)
NIGHTS_TOGETHER = 3  # whose churners are counted together, to tell where more leave than elsewhere


def a_month_ago(published: Published) -> tuple[Before | None, Mapping[str, float]]:
    """The scores of a month ago and the first reasons of their best list, as tonight's policy would have them.

    None where there is no such night, or its customers are not kept any more or lack a column that causes look at, or
    its files cannot be read.
    """
    runs = _a_month_before(published)
    if runs is None:
        return None, {}
    try:
        return _as_then(published, *runs)
    except UNREADABLE as failure:
        warned(f"{runs[0]}: tonight is held against no earlier night, since the files of that one: {failure}")
        return None, {}


def last_undoubted(published: Published) -> Earlier | None:
    """The scores of the newest night before by the same kinds of models that was watched, and that nobody doubts.

    If none of the last two months qualifies, uses the newest night anyway: a doubt that nobody resolved by then counts
    as accepted. None where there is no such night, or its files or models cannot be read.
    """
    kind_of = cache(lambda digest: load_model(digest, published.settings).manifest.kind)
    kinds = _kinds(files_of(published.scores, SCORES.name), kind_of)
    for run in _scored_before(published):
        files = files_of(run, SCORES.name)
        try:  # one file is enough to pass over most nights after a change of kind
            if _kinds(files[:1], kind_of) <= kinds and _kinds(files, kind_of) == kinds:
                return _earlier(run)
        except (ArtifactRefused, *UNREADABLE) as failure:
            warned(f"{run}: nobody can say whether tonight's scores are of the same customers: {failure}")
            return None
    return None


def matured_apart(published: Published) -> list[dict[str, object]]:
    """What became of the newest matured nights that share no churner."""
    rows = monitoring.kept_backtest(published.settings, published.contract.name, matured_until(published))
    nights = set(apart(set(rows["as_of"].to_pylist()), published.contract.horizon_days, NIGHTS_TOGETHER))
    kept: list[dict[str, object]] = [row for row in rows.to_pylist() if row["as_of"] in nights]
    return kept


def _scored_before(published: Published) -> list[Run]:
    """The runs of scores of the nights before, the newest first: those of two months that are trusted, or else all."""
    publisher, base, as_of = open_publisher(published.settings), published.contract.name, published.night.as_of
    before = [
        run
        for run in published_runs(publisher, base)
        if run.unit.kind == SCORES.name and run.shown and run.unit.as_of < as_of
    ]
    trusted = monitoring.trusted_runs(published.settings, base)
    sound = [run for run in before if run.run_id in trusted and run.unit.as_of >= as_of - LONGEST_DOUBT]
    return sorted(sound or before, key=lambda run: run.unit.as_of, reverse=True)


def _kinds(files: Sequence[Path], kind_of: Callable[[str], str]) -> frozenset[str]:
    """The kinds of the models that scored who is in the files."""
    digests = read_parquet(files, ["model_digest"])["model_digest"]
    return frozenset(kind_of(digest) for digest in pc.unique(digests.cast(pa.string())).to_pylist())


def _earlier(scores: Run) -> Earlier:
    rows = read_parquet(files_of(scores, SCORES.name), ["customer_id", "log_odds"])
    keys = rows["customer_id"].cast(pa.string()).combine_chunks()
    return Earlier(scores.unit.as_of, keys, rows["log_odds"].to_numpy())


def _a_month_before(published: Published) -> tuple[Run, Run] | None:
    """Scores and list of the newest night that is a month older, or of the oldest that is older at all."""
    publisher, base, as_of = open_publisher(published.settings), published.contract.name, published.night.as_of
    lists = [
        run.unit.as_of
        for run in published_runs(publisher, base)
        if run.unit.kind == OUTREACH.name and run.shown and run.unit.as_of < as_of
    ]
    old_enough = [night for night in lists if night <= as_of - A_MONTH_AGO]
    chosen = max(old_enough, default=None) or min(lists, default=None)
    return _runs_of(publisher, base, chosen) if chosen else None


def _runs_of(publisher: Publisher, base: str, as_of: date) -> tuple[Run, Run] | None:
    scores, listed = (shown_run(publisher, base, kind, as_of) for kind in (SCORES.name, OUTREACH.name))
    return (scores, listed) if scores and listed else None


def _as_then(published: Published, scores: Run, listed: Run) -> tuple[Before | None, Mapping[str, float]]:
    """The same of the runs of that night; ArrowException or OSError where their files are damaged or gone."""
    terms = Terms.of(published.policy)
    causes = _causes_then(published, scores, terms.columns)
    if causes is None:
        return None, {}
    rows = read_parquet(files_of(scores, SCORES.name), score_columns(published.policy))
    told = _told_in_order(rows, listed)
    then = Scores(
        customer_id=rows["customer_id"].cast(pa.string()).combine_chunks(),
        segment=rows["segment"].cast(pa.string()).combine_chunks(),
        log_odds=rows["log_odds"].to_numpy(),
        customer_value=values_of(told, rows),
        open=is_open(told["status"].combine_chunks()),
        keep=keep_by(with_reasons(causes, rows), terms.actions),
    )
    return Before(scores.unit.as_of, then), first_reasons(then, rows[FIRST_REASON], terms)


def _causes_then(published: Published, scores: Run, columns: Sequence[str]) -> pa.Table | None:
    """What causes look at of the customers of an earlier night, in the order of its scores.

    None where they are not kept any more, or lack one of the columns, which the contract did not have then.
    """
    snapshot = snapshot_of(scores, open_publisher(published.settings).lake)
    if snapshot is None:
        return None
    buckets = len(list(snapshot.glob("bucket=*.parquet")))
    then = replace(published.night, as_of=scores.unit.as_of, snapshot=snapshot, buckets=buckets)
    names = [published.contract.key, *columns]  # a table without a column has no rows
    rows = pa.concat_tables([base_rows(then, bucket, names) for bucket in then.every_bucket])
    return rows if set(names) <= set(rows.column_names) else None


def _told_in_order(scores: pa.Table, listed: Run) -> pa.Table:
    """Status and value of each scored customer; whom the list knows nothing of may be contacted as any other."""
    told = read_parquet(files_of(listed, STATUSES.name), ["customer_id", "status", "customer_value"])
    keys = (table["customer_id"].cast(pa.string()).combine_chunks() for table in (scores, told))
    place = pc.index_in(*keys)
    status = pc.fill_null(pc.take(told["status"].cast(pa.string()), place), "listed")
    theirs = told.take(pc.fill_null(place, 0))
    return theirs.set_column(theirs.column_names.index("status"), "status", status)
