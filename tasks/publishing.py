"""Claims a night, and shows its rows to readers all at once or not at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from typing_extensions import TypeIs

from churn.errors import ChurnError, RequestError
from schemas.quarantine import QUARANTINE
from store import failures
from store.claims import Claim as Claim  # flows name it as a type
from store.claims import Content, Unit
from store.code import code_digest
from store.contracts import read_contract
from store.handovers import was_sent
from store.lake import copy_file, read_manifest
from store.policies import read_policy
from store.publication import Published, Publisher, content_key, open_publisher
from store.settings import current_settings
from store.uplifts import uplift_digest
from tasks.events import NIGHT_PUBLISHED, QUALITY_FAILED, tell
from tasks.night import Champions, Night, Result
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun, has_published
from tasks.step import LATER, step
from tasks.traffic import traffic_of

SCORES, OUTREACH = "scores", "outreach"
ALARMED = "an event tells of it"

log = logging.getLogger(__name__)


@step("claim the scores of {night.base} as of {night.as_of}", again_after=LATER)
def claim_scores(night: Night, champions: Champions, force: bool = False) -> Claim | Published:
    """The right to publish these scores, or their publication if the same ones are already out.

    RequestError where readers know later facts of the night, unless by force: a correction is not taken back by chance.
    """
    later = "" if force else later_facts(night.base, night.as_of, night.known_at)
    if later:
        raise RequestError(
            f"{later}, later ones than were asked for",
            where=f"scores of {night.base} as of {night.as_of}",
            to_do="Ask with --known-at for that moment or a later one, or with --force to take the correction back.",
        )
    contract = read_contract(night.contract)
    causes = (read_manifest(night.snapshot).digest, *champions.causes, contract.digest)
    return _claim(night, SCORES, causes, force)


@step("claim the list of {night.base} as of {night.as_of}", again_after=LATER)
def claim_list(night: Night, scores: Result, policy: str, force: bool = False) -> Claim | Published:
    """The right to publish this list, or its publication if the same one is already out.

    The snapshot is a cause beside the scores: a consent may be withdrawn without a score changing. A list that was
    sent stays as it was published, and so does that of a night before the newest, unless by force.
    """
    in_use = _list_in_use(night, force)
    if in_use:
        return in_use
    rules = read_policy(policy)
    causes = (read_manifest(scores.folder).digest, read_manifest(night.snapshot).digest, rules.digest)
    learnt = uplift_digest(current_settings(), night.base, night.known_at)
    traffic = traffic_of(night, rules.policy)
    more = learnt, traffic and traffic.digest
    return _claim(night, OUTREACH, (*causes, *(cause for cause in more if cause)), force)


def later_facts(base: str, as_of: date, known_at: datetime) -> str:
    """Which facts the night's readers know that came after the moment, in words; empty where they know none such."""
    shown = _publisher().published(base, SCORES, as_of)
    if shown is None or shown.unit.known_at <= known_at:
        return ""
    return f"revision {shown.revision} knows the facts of {shown.unit.known_at:%Y-%m-%d %H:%M}"


@contextmanager
def failures_recorded(night: Night | Unit | None, *, begun: bool = True) -> Iterator[None]:
    """Records a failure that no run has claimed yet, so that `night_status` shows it. None: nobody knows which night.

    What is refused before anything has `begun` is no failure of a night that is published.
    """
    unit = Unit(night.base, SCORES, night.as_of, night.known_at) if isinstance(night, Night) else night
    try:
        with failures.failures_recorded(unit, begun=begun):
            yield
    except failures.REFUSALS as refused:
        _raise_alarm(unit, refused)
        raise


@contextmanager
def held(claim: Claim) -> Iterator[Path]:
    """The folder to write the run's files into, the claim renewed all the while.

    A failure inside ends the run and gives the night back, if it is still ours.
    """
    publisher = _publisher()
    try:
        with publisher.keeping(claim):
            yield publisher.stage(claim)
    except BaseException as failure:
        end = publisher.reject if isinstance(failure, failures.REFUSALS) else publisher.release
        end(claim, failures.in_words(failure))
        failure.add_note(failures.TOLD)
        if isinstance(failure, failures.REFUSALS):
            _raise_alarm(claim.unit, failure)
        raise


def drafts(claim: Claim) -> Path:
    """The folder for what is not a file of the run yet."""
    return _publisher().drafts(claim)


def publish(claim: Claim) -> Result:
    """From a folder of whole files to rows that readers see, unless they see these very rows already."""
    begun(f"publish {claim.unit.kind}")
    seal_files(claim)
    same = _publisher().already_shown(claim)
    if same:
        return result_of(same, new=False)
    load_tables(claim)
    shown = show(claim)
    has_published(shown.kind, shown.rows)
    if shown.kind == SCORES:
        _tell_of(claim.unit, NIGHT_PUBLISHED, run_id=shown.run_id, rows=shown.rows)
    return shown


@step("seal the files of {claim.unit.kind}", again_after=LATER)
def seal_files(claim: Claim) -> None:
    """Moves the run's files to their place for good, under a manifest."""
    _publisher().seal(claim)


@step("load the tables of {claim.unit.kind}", again_after=LATER)
def load_tables(claim: Claim) -> None:
    """Loads the files' rows into the database, where nobody sees them yet."""
    _publisher().load(claim)


@step("show {claim.unit.kind} to readers", again_after=LATER)
def show(claim: Claim) -> Result:
    """Audits files and tables, and moves the one pointer that readers follow."""
    return result_of(_publisher().publish(claim), new=True)


@step("add the quarantine")
def stage_quarantine(night: Night, folder: Path) -> None:
    """Copies the rows that were set aside into the run's folder, so that they are published with its scores."""
    copy_file(night.snapshot / f"{QUARANTINE.name}.parquet", folder / QUARANTINE.name / "rows.parquet")


def is_published(claim: Claim | Published) -> TypeIs[Published]:
    """Whether there is nothing left to do."""
    return isinstance(claim, Published)


@step("see how many customers there were before {night.as_of}", again_after=LATER)
def previous_rows(night: Night) -> int | None:
    """The customers of the newest night that is older than this one; None where there is none."""
    shown = _publisher().newest_before(night.base, SCORES, night.as_of)
    return shown.rows if shown else None


def result_of(published: Published, *, new: bool) -> Result:
    """What people and later steps want to know of a publication."""
    return Result(
        kind=published.unit.kind,
        run_id=published.run_id,
        revision=published.revision,
        rows=published.rows,
        folder=published.folder,
        new=new,
    )


def _claim(night: Night, kind: str, causes: tuple[str, ...], force: bool) -> Claim | Published:
    unit = Unit(night.base, kind, night.as_of, night.known_at)
    content = Content(content_key(*causes, code_digest()), night.extract_digest)
    return _publisher().claim(unit, content, force=force)


def _list_in_use(night: Night, force: bool) -> Published | None:
    """The night's published list, where nobody may be put on it or taken off any more."""
    publisher = _publisher()
    listed = publisher.published(night.base, OUTREACH, night.as_of)
    why = _why_it_stays(publisher, listed, force) if listed else ""
    if why:
        log.warning("the list as of %s stays as it was published: %s", night.as_of, why)
    return listed if why else None


def _why_it_stays(publisher: Publisher, listed: Published, force: bool) -> str:
    unit = listed.unit
    with publisher.engine.connect() as connection:
        if was_sent(connection, unit):
            return "it was sent"
    newest = publisher.current(unit.contract, unit.kind)
    is_older = newest is not None and newest.unit.as_of > unit.as_of
    return "a newer night has one; --force decides it anew" if is_older and not force else ""


def _raise_alarm(unit: Unit | None, refused: ChurnError) -> None:
    """Tells once of a night that is not good enough; `night_alerts` has it whether anybody hears of it or not."""
    if unit is not None and ALARMED not in getattr(refused, "__notes__", ()):
        _tell_of(unit, QUALITY_FAILED, why=failures.in_words(refused))
        refused.add_note(ALARMED)


def _tell_of(unit: Unit, event: str, **facts: object) -> None:
    with worth_no_failure("that event"):
        payload = {"contract": unit.contract, "kind": unit.kind, "as_of": unit.as_of, **facts}
        tell(event, about=unit.contract, payload=payload)


def _publisher() -> Publisher:
    return open_publisher(current_settings())
