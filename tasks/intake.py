"""Takes the source in, and opens the night that it allows."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path

from prefect import runtime

from churn.errors import SourceStale
from churn.snapshot import Moment
from schemas.contract import Contract
from store import readiness
from store.claims import Unit
from store.code import code_digest
from store.contracts import read_contract
from store.lake import Lake
from store.publication import Publisher, open_publisher
from store.settings import Settings, current_settings
from store.snapshots import bucket_count, latest_as_of
from store.source import Extract, extract
from tasks.night import Night
from tasks.progress import begun
from tasks.step import LATER, step


def unit_asked_for(contract: str, as_of: str | None, known_at: str | None) -> Unit | None:
    """The night that is asked for, told without its source; None where `latest` leaves that to the source.

    RequestError where there can be no such night.
    """
    settings = current_settings()
    return readiness.unit_asked_for(contract, as_of, known_at, settings, scheduled_day(settings))


@step("extract {contract}", again_after=LATER)
def extract_source(contract: str, source: str | None) -> Extract:
    """Copies the source tables into the lake, checked against the contract's columns and types."""
    settings = current_settings()
    begun("extract")
    return extract(read_contract(contract), source or settings.source_url, settings)


@step("open the night of {contract}", again_after=LATER)
def open_night(contract: str, as_of: str | None, known_at: str | None, extract: Extract) -> Night:
    """Settles the date, the moment and the snapshot's place; refuses dates that cannot be."""
    settings, terms = current_settings(), read_contract(contract)
    due, latest = scheduled_day(settings), _latest(extract, terms)
    when = readiness.moment_asked_for(as_of, known_at, settings, due=due, latest=latest)
    night = Night(
        contract=contract,
        base=terms.name,
        as_of=when.as_of,
        known_at=when.known_at,
        extract=extract.folder,
        extract_digest=extract.digest,
        snapshot=_place(Lake(settings.lake), terms, when, extract),
        buckets=bucket_count(extract.folder, terms),
    )
    if terms.flat:
        _refuse_old_file(night, open_publisher(settings))
    return night


def _refuse_old_file(night: Night, publisher: Publisher) -> None:
    """A flat table has no dates inside, so that the same file twice can only be told by its content."""
    earlier = publisher.earlier_from(Unit(night.base, "scores", night.as_of, night.known_at), night.extract_digest)
    if earlier is not None:
        raise SourceStale(
            f"the table has the same content as on {earlier}, to the last value",
            where=f"{night.base} as of {night.as_of}",
            to_do=f"Deliver the table of {night.as_of}; or ask for --as-of {earlier}, which is published.",
        )


def scheduled_day(settings: Settings) -> date:
    """The business day the run was due; a run that starts late still scores the day it was meant for."""
    scheduled = runtime.flow_run.scheduled_start_time
    return (scheduled or datetime.now(settings.zone)).astimezone(settings.zone).date()


def _latest(extract: Extract, contract: Contract) -> date | None:
    return None if contract.flat else latest_as_of(extract.folder, contract)


def _place(lake: Lake, contract: Contract, when: Moment, extract: Extract) -> Path:
    """Named after all that decides the rows, so that a folder that is there is the right one."""
    causes = "\n".join((extract.digest, contract.digest, code_digest()))
    return lake.snapshot(contract.name, when.as_of, when.known_at, hashlib.sha256(causes.encode()).hexdigest())
