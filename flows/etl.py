"""Takes the customer base in: extract, snapshot, checks."""

from __future__ import annotations

from prefect import flow, unmapped

from tasks import checks, intake, publishing, snapshot
from tasks.night import Night
from tasks.parameters import AsOf, ContractName, KnownAt, Source
from tasks.runners import run_name, threads


@flow(name="etl", flow_run_name=run_name, task_runner=threads())
def etl(contract: ContractName = "telco", as_of: AsOf = None, known_at: KnownAt = None, source: Source = None) -> Night:
    """Takes the base in and checks it; scores nobody."""
    return take_in(contract, as_of, known_at, source)


def take_in(contract: str, as_of: str | None, known_at: str | None, source: str | None) -> Night:
    """From the source to a snapshot that may be scored; what fails on the way has failed the night."""
    with publishing.failures_recorded(intake.unit_asked_for(contract, as_of, known_at)):
        night = open_base(contract, as_of, known_at, source)
    with publishing.failures_recorded(night):
        return build_base(night)


def open_base(contract: str, as_of: str | None, known_at: str | None, source: str | None) -> Night:
    """From the source to an extract of it, and the night that it allows."""
    checks.warm_up()
    extract = intake.extract_source(contract, source)
    return intake.open_night(contract, as_of, known_at, extract)


def build_base(night: Night) -> Night:
    """From the night's extract to a snapshot that may be scored."""
    snapshot.build_context(night)
    snapshot.build_bucket.map(unmapped(night), night.every_bucket).result()
    snapshot.seal_snapshot(night)
    checks.check_snapshot(night, publishing.previous_rows(night))
    return night
