"""Watches a published night: reads its scores, list and customers, keeps what changed, and tells whom it concerns."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from churn.actions import REASON_PLACES
from churn.alarms import Alarm, alarms_of
from churn.backtest import apart
from churn.drift_price import Part, Terms, keep_by
from churn.errors import RequestError
from churn.monitoring import (
    Before,
    Numbers,
    PartFacts,
    Reasons,
    Scores,
    Watched,
    alarm_rows,
    bins_of,
    card_for_bins,
    first_reasons,
    is_open,
    numbers_of,
    together,
    watch,
    with_alarms,
)
from churn.monitoring import Night as WatchedNight
from churn.monitoring_page import history_svg, night_html, night_markdown
from churn.remedy import remedy_for
from schemas.contract import Contract
from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, EVERYTHING, FEATURES, OF_A_NIGHT, SCORE_SPREADS, AlarmState
from schemas.outreach import OUTREACH, STATUSES
from schemas.policy import Policy
from schemas.scores import SCORES
from store import monitoring
from store.artifacts import Model, load_model
from store.contracts import read_contract
from store.decisions import decision_of, snapshot_of
from store.lake import UNREADABLE, bucket_file, read_parquet
from store.policies import kept_policy, policy_for, read_policy
from store.publication import Publisher, open_publisher
from store.runs import Run, published_runs, shown_run
from store.settings import Settings, current_settings
from tasks.afterwards import told_where_it_fails
from tasks.backtest import follow_up
from tasks.events import DRIFT_DETECTED, tell
from tasks.night import Night
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun, warned
from tasks.scoring import base_rows
from tasks.step import SOON, step

STEP = "watch the night"
A_MONTH_AGO = timedelta(days=28)
NIGHTS_TOGETHER = 3  # whose churners are counted together, to tell where more leave than elsewhere
_REASON, *_ = _REASONS = [f"reason_{place}_feature" for place in REASON_PLACES]
_IN_SCORES = ["customer_id", "segment", "log_odds", "customer_value", "model_digest", _REASON]


@dataclass(frozen=True, slots=True)
class Seen:
    """What watching a night came to: the alarms, those of it and of earlier nights that people were not told of, the
    page, and the last date whose horizon was over by what was known that night.
    """

    base: str
    as_of: date
    alarms: tuple[Alarm, ...]
    new: tuple[Alarm, ...]
    page: Path
    matured_until: date


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


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """The runs of the night, its contract and the policy that decided its list."""

    night: Night
    scores: Run
    list: Run
    contract: Contract
    policy: Policy
    settings: Settings


@step("choose the night of {contract} to watch")
def chosen_night(contract: str, as_of: str | None) -> date:
    """The date that was asked for, or the newest published night; RequestError where it has no list."""
    asked = None if as_of in (None, "latest") else date.fromisoformat(str(as_of))
    return _published(contract, asked).night.as_of


@step("watch {contract} as of {as_of}", again_after=SOON)
def watch_night(contract: str, as_of: date) -> Seen:
    """Keeps what changed in features, scores and list, and which of it is an alarm; a night may be watched again."""
    begun(STEP)
    published = _published(contract, as_of)
    settings, base = published.settings, published.contract.name
    night = as_watched(published)
    found = watch(night)
    alarms = tuple(alarms_of(found.findings, as_of, monitoring.past_of(settings, base, as_of)))
    raised = [alarm for alarm in alarms if alarm.state is AlarmState.RAISED]
    told = monitoring.told_of(settings, base, as_of)
    rows = {
        FEATURES.name: found.features,
        SCORE_SPREADS.name: found.scores,
        DECISIONS.name: with_alarms(found.decision, len(raised)),
        ALARMS.name: alarm_rows(alarms, night.watched, told),
    }
    monitoring.keep_night(settings, base, as_of, rows)
    until = _matured_until(published)
    html = night_html(rows | {BACKTEST.name: monitoring.kept_backtest(settings, base, until)})
    page = monitoring.keep_page(html, base, as_of, settings)
    muted = {alarm.finding.key for alarm in alarms if alarm.state is AlarmState.MUTED}
    new = tuple(one for one in monitoring.untold(settings, base, as_of) if one.finding.key not in muted)
    return Seen(base, as_of, alarms, new, page, until)


@step("tell what changed decisions")
def tell_of(seen: Seen) -> Seen:
    """Leaves what was found as artifacts; and of alarms that nobody was told of tells the orchestrator, and the log."""
    settings = current_settings()
    rows = {schema.name: monitoring.kept_night(settings, schema, seen.base, seen.as_of) for schema in OF_A_NIGHT}
    title = f"What changed in {seen.base} as of {seen.as_of}"
    picture = b64encode(
        history_svg(monitoring.kept_backtest(settings, seen.base, seen.matured_until)).encode()
    ).decode()
    with worth_no_failure("what changed"):
        create_markdown_artifact(key="monitoring", description=title, markdown=night_markdown(rows))
        image = f"data:image/svg+xml;base64,{picture}"
        create_image_artifact(key="monitoring-plot", description=title, image_url=image)
    tell_people(seen)
    return seen


def tell_people(seen: Seen) -> None:
    """Tells the log and the orchestrator of what people were not told of yet.

    What cannot be told now is told by the next watch: the row in the table says whether it was.
    """
    for alarm in seen.new:
        warned(f"{seen.base} as of {alarm.raised_as_of}: {alarm.finding.says.rstrip('.')}. {alarm.finding.to_do}")
    if seen.new:
        with worth_no_failure("the event of the alarms"):
            tell(DRIFT_DETECTED, about=seen.base, payload=_payload(seen))
            monitoring.keep_told(current_settings(), seen.base, seen.new)


@step("watch {night.base} as of {night.as_of}")
def watch_published(night: Night) -> Seen | None:
    """The same for a night that was just published, and stays so whatever becomes of watching it: None if it failed."""
    with told_where_it_fails(night, "what became of past nights could not be seen"):
        follow_up.fn(night.contract, night.as_of)
    with told_where_it_fails(night, "could not be watched"):
        return tell_of.fn(watch_night.fn(night.contract, night.as_of))
    return None


def _payload(seen: Seen) -> dict[str, object]:
    """The event's words: the largest alarm, and the names of all that are new."""
    largest = seen.new[0].finding
    return {
        "contract": seen.base,
        "as_of": seen.as_of,
        "why": largest.says,
        "to_do": largest.to_do,
        "kind": largest.kind.value,
        "subject": largest.subject,
        "money": largest.money,
        "remedy": remedy_for([alarm.finding for alarm in seen.new]).value,
        "subjects": ", ".join(alarm.finding.subject for alarm in seen.new),
    }


def _published(contract: str, as_of: date | None) -> Published:
    settings, terms = current_settings(), read_contract(contract)
    publisher = open_publisher(settings)
    decided = decision_of(publisher, terms.name, as_of)
    if decided.list is None or decided.snapshot is None:
        raise RequestError(
            "its list is not published" if decided.list is None else "its customers are not kept any more",
            where=f"{terms.name} as of {decided.scores.unit.as_of}",
            to_do="Watch a night whose list is published and kept: see night_status.",
        )
    unit, digest = decided.scores.unit, decided.scores.extract_digest
    extract, buckets = publisher.lake.extract(terms.name, digest), decided.buckets
    night = Night(contract, terms.name, unit.as_of, unit.known_at, extract, digest, decided.snapshot, buckets)
    return Published(night, decided.scores, decided.list, terms, _policy(decided.list, terms, settings), settings)


def _policy(listed: Run, contract: Contract, settings: Settings) -> Policy:
    """The policy that decided the list, or the one in force where its text is kept no longer."""
    told = read_parquet(_files(listed, STATUSES.name)[:1], ["policy_digest"])["policy_digest"]
    kept = kept_policy(told[0].as_py(), settings) if len(told) else None
    return (kept or read_policy(policy_for(contract.name))).policy


def as_watched(published: Published) -> WatchedNight:
    """The night with all that it is held against."""
    settings, base, as_of = published.settings, published.contract.name, published.night.as_of
    with ThreadPoolExecutor(settings.cores) as threads:
        buckets = list(threads.map(lambda bucket: _bucket(published, bucket), published.night.every_bucket))
    rows, terms = pa.concat_tables([bucket.scores for bucket in buckets]), Terms.of(published.policy)
    scores, (before, reasons_before) = _scores(rows, buckets), _before(published)
    return WatchedNight(
        watched=Watched(base, as_of, published.scores.run_id),
        scores=scores,
        parts=_parts(buckets, settings),
        terms=terms,
        reasons=Reasons(first_reasons(scores, rows[_REASON], terms), reasons_before),
        before=before,
        backtest=_matured_apart(published),
        lift=monitoring.latest_lift(settings, base, published.night.known_at),
    )


def _bucket(published: Published, bucket: int) -> _Bucket:
    """One bucket's part of everything; scores, statuses and customers are in the order of the key."""
    file = bucket_file(bucket)
    scores = read_parquet([published.scores.folder / SCORES.name / file], _in_scores(published.policy))
    told = read_parquet([published.list.folder / STATUSES.name / file], ["status", "customer_value"])
    digests = scores["model_digest"].cast(pa.string())
    models = {digest: load_model(digest, published.settings) for digest in pc.unique(digests).to_pylist()}
    names = {feature.name for model in models.values() for feature in card_for_bins(model.model).features}
    terms = Terms.of(published.policy)
    rows = base_rows(published.night, bucket, sorted({published.contract.key, *names, *terms.columns}))
    by_model = {each: _of_model(model, rows, np.asarray(pc.equal(digests, each))) for each, model in models.items()}
    causes = rows.select([published.contract.key, *terms.columns])
    keep = keep_by(_with_reasons(causes, scores), terms.actions)
    return _Bucket(scores, told["status"].cast(pa.string()), _values(told, scores), keep, causes, by_model)


def _with_reasons(causes: pa.Table, scores: pa.Table) -> pa.Table:
    """The columns that actions go by; the rows of both are in the same order."""
    for name in set(_REASONS) & set(scores.column_names):
        causes = causes.append_column(name, scores[name])
    return causes


def _in_scores(policy: Policy) -> list[str]:
    return [*_IN_SCORES, *(_REASONS[1:] if policy.asks_for_reasons else ())]


def _values(told: pa.Table, scores: pa.Table) -> np.ndarray:
    """What keeping each customer is worth, as the policy has it; a list of an earlier release did not tell."""
    whose = told if "customer_value" in told.column_names else scores
    return np.asarray(whose["customer_value"].cast(pa.float64()).to_numpy())


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


def _before(published: Published) -> tuple[Before | None, Mapping[str, float]]:
    """The scores of a month ago and the first reasons of their best list, as tonight's policy would have them.

    None where there is no such night, or its customers are not kept any more, or its files cannot be read.
    """
    runs = _a_month_before(published)
    if runs is None:
        return None, {}
    try:
        return _as_then(published, *runs)
    except UNREADABLE as failure:
        warned(f"{runs[0]}: tonight is held against no earlier night, since the files of that one: {failure}")
        return None, {}


def _as_then(published: Published, scores: Run, listed: Run) -> tuple[Before | None, Mapping[str, float]]:
    """The same of the runs of that night; ArrowException or OSError where their files are damaged or gone."""
    terms = Terms.of(published.policy)
    causes = _causes_then(published, scores, terms.columns)
    if causes is None:
        return None, {}
    rows = read_parquet(_files(scores, SCORES.name), _in_scores(published.policy))
    told = _told_in_order(rows, listed)
    then = Scores(
        customer_id=rows["customer_id"].cast(pa.string()).combine_chunks(),
        segment=rows["segment"].cast(pa.string()).combine_chunks(),
        log_odds=rows["log_odds"].to_numpy(),
        customer_value=_values(told, rows),
        open=is_open(told["status"].combine_chunks()),
        keep=keep_by(_with_reasons(causes, rows), terms.actions),
    )
    return Before(scores.unit.as_of, then), first_reasons(then, rows[_REASON], terms)


def _causes_then(published: Published, scores: Run, columns: Sequence[str]) -> pa.Table | None:
    """What causes look at of the customers of an earlier night, in the order of its scores."""
    snapshot = snapshot_of(scores, open_publisher(published.settings).lake)
    if snapshot is None:
        return None
    buckets = len(list(snapshot.glob("bucket=*.parquet")))
    then = replace(published.night, as_of=scores.unit.as_of, snapshot=snapshot, buckets=buckets)
    names = [published.contract.key, *columns]  # a table without a column has no rows
    return pa.concat_tables([base_rows(then, bucket, names) for bucket in then.every_bucket])


def _told_in_order(scores: pa.Table, listed: Run) -> pa.Table:
    """Status and value of each scored customer; whom the list knows nothing of may be contacted as any other."""
    told = read_parquet(_files(listed, STATUSES.name), ["customer_id", "status", "customer_value"])
    keys = (table["customer_id"].cast(pa.string()).combine_chunks() for table in (scores, told))
    place = pc.index_in(*keys)
    status = pc.fill_null(pc.take(told["status"].cast(pa.string()), place), "listed")
    theirs = told.take(pc.fill_null(place, 0))
    return theirs.set_column(theirs.column_names.index("status"), "status", status)


def _matured_apart(published: Published) -> list[dict[str, object]]:
    """What became of the newest matured nights that share no churner."""
    rows = monitoring.kept_backtest(published.settings, published.contract.name, _matured_until(published))
    nights = set(apart(set(rows["as_of"].to_pylist()), published.contract.horizon_days, NIGHTS_TOGETHER))
    kept: list[dict[str, object]] = [row for row in rows.to_pylist() if row["as_of"] in nights]
    return kept


def _matured_until(published: Published) -> date:
    """The last date whose horizon was over by what was known that night: what came later, nobody knew."""
    return published.night.known_at.date() - timedelta(days=published.contract.horizon_days)


def _files(run: Run, table: str) -> list[Path]:
    return sorted((run.folder / table).glob("*.parquet"))
