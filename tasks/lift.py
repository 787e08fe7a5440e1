"""Measures what waves saved: keeps who was in each of them, asks the source who left, and reports it."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from churn.drawings import LiftPoint, lift_plot
from churn.errors import PolicyError, RequestError
from churn.lift import lifts
from churn.lift_figures import Lift, lift_markdown, lift_rows
from churn.night import LATEST, chosen_known_at, date_of, require_night
from churn.outcomes import (
    IN_SCORES,
    MEMBERS,
    entries,
    matured,
    told_until,
    wave_members,
    with_contacts,
    with_departures,
)
from churn.spending import Cost, Terms
from schemas.lift import ALL_ACTIONS, Scope
from schemas.outreach import OUTREACH, STATUSES
from schemas.scores import SCORES
from store.contracts import read_contract
from store.interventions import events_since
from store.lake import UNREADABLE, read_parquet, write_parquet
from store.lifts import keep_lifts
from store.pages import keep_lift_page
from store.policies import PolicyInForce, kept_policy, policy_for, read_policy
from store.publication import Publisher, open_publisher
from store.runs import Run, published_runs, shown_run
from store.settings import Settings, current_settings
from store.snapshots import known_departures
from store.source import Extract
from tasks.monitoring_runs import files_of
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun
from tasks.step import LATER, step
from tasks.wave_customers import keep_customers

STEP = "measure what waves saved"
NOTHING = "Nothing to compare yet."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptWave:
    """The date of a published list, the file of those who were listed and held out, and that of their features.

    The last is None where their snapshot went before anybody kept it.
    """

    as_of: date
    members: Path
    customers: Path | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known at a moment of the waves whose horizon is over: their members, each once, and what decided them.

    `members` has MEMBERS, churned, contacted and accepted, and is empty where no wave is over.
    """

    known_at: datetime
    as_ofs: tuple[date, ...]
    members: pa.Table
    policies: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the waves saved by what was known at a moment, which waves have not matured, and where the drawing is.

    `learnt` says of each action what its waves taught, in a sentence.
    """

    base: str
    known_at: datetime
    lifts: tuple[Lift, ...]
    waiting: tuple[date, ...]
    plot: Path
    learnt: tuple[str, ...] = ()

    def with_learnt(self, learnt: Sequence[str]) -> Measured:
        """The same, with what the waves taught."""
        return replace(self, learnt=tuple(learnt))


def require_wave(as_of: str | None) -> None:
    """RequestError where a wave is asked for by what is no date: said before all is measured, and not after it."""
    require_night(as_of)


@step("keep who was in the waves of {contract}", again_after=LATER)
def keep_waves(contract: str) -> tuple[KeptWave, ...]:
    """A small file for each published list, in order of their dates; the scores beside them are not kept as long."""
    settings, base = current_settings(), read_contract(contract).name
    publisher = open_publisher(settings)
    runs = [run for run in published_runs(publisher, base) if run.unit.kind == OUTREACH.name and run.shown]
    waves = [_kept(publisher, run, settings, contract) for run in sorted(runs, key=lambda run: run.unit.as_of)]
    return tuple(wave for wave in waves if wave is not None)


@step("measure what waves of {contract} saved", again_after=LATER)
def measure(
    contract: str, waves: Sequence[KeptWave], extract: Extract, known_at: str | None, policy: str | None = None
) -> Measured:
    """Compares the listed with those held out of each wave whose horizon is over, and keeps what came of it."""
    begun(STEP)
    settings, over = current_settings(), ended(contract, waves, extract, known_at, policy)
    base, moment, found = read_contract(contract).name, over.known_at, lifts(over.members, over.policies)
    keep_lifts(settings, lift_rows(found, base, moment))
    page = keep_lift_page(lift_plot(_points(found)), base, settings)
    waiting = tuple(wave.as_of for wave in waves if wave.as_of not in over.as_ofs)
    return Measured(base, moment, tuple(found), waiting, page)


def ended(
    contract: str, waves: Sequence[KeptWave], extract: Extract, known_at: str | None, policy: str | None = None
) -> Ended:
    """The members of the waves whose horizon is over, with what became of them; `policy` is the one in force."""
    settings, terms = current_settings(), read_contract(contract)
    moment = _moment(known_at, settings)
    departures = known_departures(extract.folder, terms, moment)
    ready = matured([wave.as_of for wave in waves], terms.horizon_days, told_until(extract.newest, moment))
    first = entries(members_of(wave for wave in waves if wave.as_of in ready))
    left = with_departures(first, departures, terms.horizon_days)
    events = events_since(settings, terms.name, min(ready, default=moment.date()), known_at=moment)
    members = with_contacts(left, events, terms.horizon_days)
    policies = _policies(members, policy or policy_for(terms.name), settings)
    return Ended(moment, tuple(ready), members, tuple(policies))


def members_of(waves: Iterable[KeptWave]) -> pa.Table:
    """MEMBERS of all waves; what a file of an earlier release does not know is null."""
    known = [read_parquet([wave.members]) for wave in waves]
    return pa.concat_tables([MEMBERS.empty_table(), *known], promote_options="default")


@step("show what waves saved")
def show_lift(measured: Measured, as_of: str | None) -> Measured:
    """Leaves the comparisons as artifacts, a table and a drawing, and gives those that were asked for."""
    title = f"What waves of {measured.base} saved, as known at {measured.known_at:%Y-%m-%d %H:%M}"
    table = lift_markdown(measured.lifts) if measured.lifts else f"{NOTHING}\n"
    picture = b64encode(lift_plot(_points(measured.lifts)).encode()).decode()
    with worth_no_failure("what waves saved"):
        create_markdown_artifact(key="lift", description=title, markdown=f"# {title}\n\n{table}")
        create_image_artifact(key="lift-plot", description=title, image_url=f"data:image/svg+xml;base64,{picture}")
    for one in measured.lifts:
        if one.alarm:
            log.warning("%s, %s: %s", one.dates, one.action, one.alarm)
    return asked_for(measured, as_of)


def _kept(publisher: Publisher, run: Run, settings: Settings, contract: str) -> KeptWave | None:
    """The run's wave; None where its scores went before anybody kept it, or cannot be read."""
    unit = run.unit
    path = settings.lake / "waves" / unit.contract / f"as_of={unit.as_of}" / f"{run.run_id}.parquet"
    scores = shown_run(publisher, unit.contract, SCORES.name, unit.as_of)
    if not path.exists():
        if scores is None:
            log.warning("%s: its scores are not kept any more, so nobody can say what it saved", run)
            return None
        try:
            members = _members(run, scores)
        except UNREADABLE as failure:
            log.warning("%s: its files cannot be read, so nobody can say what it saved: %s", run, failure)
            return None
        write_parquet(members, path)
    try:
        return KeptWave(unit.as_of, path, keep_customers(publisher, scores, path, read_contract(contract)))
    except (KeyError, *UNREADABLE) as failure:  # KeyError: their key had another name
        log.warning("%s: its customers cannot be read, so nothing is learnt of them: %s", run, failure)
        return KeptWave(unit.as_of, path)


def _members(run: Run, scores: Run) -> pa.Table:
    statuses = read_parquet(files_of(run, STATUSES.name))
    return wave_members(statuses, read_parquet(files_of(scores, SCORES.name), ["customer_id", *IN_SCORES]))


def _moment(known_at: str | None, settings: Settings) -> datetime:
    now = datetime.now(settings.zone).replace(tzinfo=None)
    return now if known_at is None else chosen_known_at(known_at, as_of=date.min, now=now)


def _policies(members: pa.Table, in_force: str, settings: Settings) -> list[Terms]:
    """The terms of each policy that decided a wave, as far as its text is kept: the one in force may be another."""
    named = read_policy(in_force)
    digests = pc.unique(members["policy_digest"].cast(pa.string())).to_pylist()
    found = [named if digest == named.digest else _as_it_was(digest, settings) for digest in digests]
    return [_terms(policy) for policy in found if policy is not None]


def _as_it_was(digest: str, settings: Settings) -> PolicyInForce | None:
    try:
        return kept_policy(digest, settings)
    except PolicyError as refused:  # this release may ask more of a policy than the one that decided by it
        log.warning("policy %s: its share and its costs are not known any more: %s", digest, refused)
        return None


def _terms(decided: PolicyInForce) -> Terms:
    costs = {action.name: Cost(action.contact_cost, action.offer_cost) for action in decided.policy.actions}
    return Terms(decided.digest, decided.policy.holdout.share, costs)


def _points(found: Sequence[Lift]) -> list[LiftPoint]:
    """All waves together, then each, for all actions; then each model's share, where a challenger had one."""
    compared = [one for one in found if one.action == ALL_ACTIONS and one.effect]
    return [LiftPoint(_POINTS.get(one.scope, str(one.first_as_of)), *one.effect) for one in compared if one.effect]


_POINTS = {Scope.WAVES: "all", Scope.CHAMPION: "champion", Scope.CHALLENGER: "challenger"}  # others by their dates


def asked_for(measured: Measured, as_of: str | None) -> Measured:
    """With the comparisons of one wave alone, where one was asked for; RequestError where it has not matured."""
    if as_of is None:
        return measured
    waves = [one for one in measured.lifts if one.scope is Scope.WAVE]
    newest = max((one.first_as_of for one in waves), default=None)
    wanted = newest if as_of == LATEST else date_of(as_of)
    chosen = tuple(one for one in waves if one.first_as_of == wanted)
    if not chosen:
        only = f"no wave of that date can be measured yet; the newest that can is {newest}"
        raise RequestError(
            only if newest else "no wave can be measured yet",
            where=f"{measured.base}, as of {as_of}",
            to_do="Wait until its horizon is over and the source tells who left, or ask for another date.",
        )
    return replace(measured, lifts=chosen)
