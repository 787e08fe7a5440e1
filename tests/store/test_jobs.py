"""A job is one process's at a time, outlives every one of them, and ends as if none had died."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pyarrow import csv

from api.job_worker import work
from api.tokens import issue_token
from churn.contract import arrow_schema
from churn.errors import Fenced
from schemas.jobs import Given, State
from schemas.quarantine import QUARANTINE
from schemas.users import Role, User
from store.access_tables import job
from store.claims import Claim, Content, Unit
from store.jobs import MOST_ATTEMPTS, MOST_CALLS, Job, Jobs, NewJob, open_jobs
from store.keyring import open_keyring
from store.lake import Lake, bucket_file, describe, read_parquet, write_manifest, write_parquet
from store.publication import open_publisher
from store.registry import Version, open_registry
from store.settings import Settings
from store.tables import engine_for
from tests import cards
from tests.api.service import TINY, promoted, scored

ROOT = Path(__file__).parent.parent.parent
SERVE = (
    "from api.app import create_app; from api.logs import log_as_json; from store.settings import current_settings;"
    "import sys, uvicorn; log_as_json();"
    f"uvicorn.run(create_app(current_settings(), {TINY.name!r}), port=int(sys.argv[1]),"
    " http='api.connections:Connection', log_config=None)"
)
NIGHT = date(2026, 1, 1)
OWNER = User("dialler", Role.SERVICE)
GONE_BY = timedelta(0)
UNSPEAKABLE = f"{'a' * 70}.example.com"  # no name has so long a part, and Python's look-up says so in its own way


@pytest.fixture
def jobs(database_with_tables: str, settings: Settings) -> Iterator[Jobs]:
    opened = replace(settings, database_url=database_with_tables)
    engine = open_registry(opened).engine
    yield open_jobs(opened, engine)
    engine.dispose()


def added(jobs: Jobs, content: bytes = b"", **other: object) -> Job:
    new = NewJob(TINY.name, "ada", Given.ROWS, {"all": (1, "d" * 64)})
    with jobs.engine.begin() as connection:
        return jobs.add(connection, jobs.keep(content), replace(new, **other))


def test_the_oldest_job_comes_first_and_each_to_one_process_alone(jobs: Jobs):
    names = [added(jobs).job for _ in range(5)]
    with ThreadPoolExecutor(8) as at_once:
        claims = [held for held in at_once.map(lambda _: jobs.claim(), range(8)) if held]
    found = [held.job for held in claims]
    assert len(set(found)) == len(found), "two hold one job"
    while (held := jobs.claim()) is not None:
        found.append(held.job)
    assert sorted(found) == sorted(names)


def test_who_sends_many_jobs_keeps_nobody_waiting_for_all_of_them(jobs: Jobs):
    first, second, third = (added(jobs).job for _ in range(3))
    other = added(jobs, owner="bob").job
    worked_on = []
    while (held := jobs.claim()) is not None:
        worked_on.append(jobs.finish(jobs.read(held, 1, None), "x").job)
    assert worked_on == [first, other, second, third]


def test_what_a_job_was_given_goes_with_its_end(jobs: Jobs):
    files = jobs.files(added(jobs, b"given").job)
    held = jobs.claim()
    assert held is not None
    for kept in (files.rows, files.chunk(0), files.result):
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(b"kept")
    jobs.finish(jobs.read(held, 1, None), "x")
    assert [file.name for file in files.folder.iterdir()] == [files.result.name]


def test_who_lost_his_job_to_another_changes_nothing_of_it_any_more(jobs: Jobs):
    added(jobs)
    first = jobs.claim(GONE_BY)
    second = jobs.claim()
    assert first is not None
    assert second is not None
    assert (first.job, first.holder == second.holder) == (second.job, False)
    for late in (lambda: jobs.advance(first, 5), lambda: jobs.finish(first, "x"), lambda: jobs.give_back(first)):
        with pytest.raises(Fenced, match="another process works on it by now"):
            late()
    assert jobs.finish(jobs.read(second, 3, None), "y").done == 3


def test_a_job_that_is_renewed_is_nobody_else_s(jobs: Jobs):
    added(jobs)
    held = jobs.claim(GONE_BY)
    assert held is not None
    jobs.advance(held, 1)
    assert jobs.claim() is None


def test_a_job_over_which_processes_die_fails_and_is_not_tried_for_ever(jobs: Jobs):
    name = added(jobs, callback="https://crm.example.com/").job
    for _ in range(MOST_ATTEMPTS):
        assert jobs.claim(GONE_BY) is not None
    assert jobs.claim() is None
    failed = jobs.of(name)
    assert failed is not None
    assert (failed.state, failed.reason) == (State.FAILED, "3 processes ended while they worked on it")
    assert jobs.to_be_told() is not None


def test_a_job_that_was_given_back_in_order_has_lost_no_attempt(jobs: Jobs):
    added(jobs)
    for _ in range(MOST_ATTEMPTS + 2):
        held = jobs.claim()
        assert held is not None
        jobs.give_back(held)
    assert held.attempts == 1


def test_the_end_is_told_by_one_process_and_again_after_a_pause(jobs: Jobs):
    added(jobs, callback="https://crm.example.com/")
    held = jobs.claim()
    assert held is not None
    jobs.finish(jobs.read(held, 1, None), "x")
    due = jobs.to_be_told()
    assert due is not None
    assert jobs.to_be_told() is None, "somebody tells it just now"
    jobs.told(due.job, "answered 503", timedelta(0))
    again = jobs.to_be_told()
    assert again is not None
    assert (again.calls, again.call_result) == (2, "answered 503")
    jobs.told(due.job, "answered 200", None)
    assert not jobs.anybody_to_tell()


def test_who_dies_over_telling_an_end_is_not_followed_for_ever(jobs: Jobs):
    to_be_told_of(jobs, "https://crm.example.com/")
    for _ in range(MOST_CALLS):
        assert jobs.anybody_to_tell()
        assert jobs.to_be_told(GONE_BY) is not None
    assert not jobs.anybody_to_tell()
    assert jobs.to_be_told() is None


def test_an_address_that_sets_off_what_nobody_foresaw_keeps_no_other_from_being_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_CALLBACK_HOSTS", UNSPEAKABLE)
    monkeypatch.setenv("CHURN_CALLBACK_KEY", "a2" * 21 + "a=")
    jobs = open_jobs(settings, open_registry(settings).engine)
    poison = to_be_told_of(jobs, f"https://{UNSPEAKABLE}/")
    other = to_be_told_of(jobs, "https://nobody.example.com/")
    work(settings)
    told = [jobs.of(name) for name in (poison, other)]
    assert [one.call_result for one in told if one] == [
        "an unforeseen UnicodeError",
        "nobody.example.com is no host that CHURN_CALLBACK_HOSTS names, or that is another port",
    ]
    assert not jobs.anybody_to_tell()


def to_be_told_of(jobs: Jobs, callback: str) -> str:
    added(jobs, callback=callback)
    held = jobs.claim()
    assert held is not None
    return jobs.finish(jobs.read(held, 1, None), "x").job


@pytest.fixture
def champion(settings: Settings) -> Version:
    return promoted(settings)


def given_rows(settings: Settings, champion: Version, rows: pa.Table) -> tuple[Jobs, str]:
    jobs = open_jobs(settings, engine_for(settings.database_url))
    models = {"all": (champion.version, champion.digest)}
    return jobs, added(jobs, as_csv(rows), given=Given.CSV, models=models).job


def as_csv(rows: pa.Table) -> bytes:
    written = io.BytesIO()
    csv.write_csv(rows, written)
    return written.getvalue()


def sha256(jobs: Jobs, name: str) -> str:
    return hashlib.sha256(jobs.files(name).result.read_bytes()).hexdigest()


def test_a_job_that_is_stopped_after_any_chunk_ends_as_one_that_was_not(
    settings: Settings, champion: Version, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api.job_worker.CHUNK_ROWS", 30)
    rows = cards.customers(100)
    jobs, whole = given_rows(settings, champion, rows)
    work(settings)
    _, stopped = given_rows(settings, champion, rows)
    for finished in (30, 60, 90, 100):
        asked = iter([False, False, True])  # whether to take a job, to begin a chunk, to begin another
        work(settings, lambda asked=asked: next(asked, True))
        now = jobs.of(stopped)
        assert now is not None
        assert now.done == finished
    work(settings)
    ended = jobs.of(stopped)
    assert ended is not None
    assert (ended.state, ended.result_sha256) == (State.DONE, sha256(jobs, whole))


def test_customers_of_the_newest_night_are_scored_as_far_as_the_owner_may_see_them(
    settings: Settings, champion: Version
):
    rows = cards.customers(40)
    publish_night(settings, champion, rows)
    asked = ["C000007", "C000001", "C999999", "C000007", *rows["customer_id"].to_pylist()]
    for segments in ((), ("prepaid",)):
        jobs = open_jobs(settings, engine_for(settings.database_url))
        content = str({"customer_ids": asked}).replace("'", '"').encode()
        models = {"all": (champion.version, champion.digest)}
        name = added(jobs, content, given=Given.CUSTOMERS, models=models, segments=segments).job
        work(settings)
        ended = jobs.of(name)
        assert ended is not None
        assert (ended.state, ended.as_of, ended.reason) == (State.DONE, NIGHT, None)
        night = {row["customer_id"]: row for row in scored(rows, champion).to_pylist()}
        for row in read_parquet([jobs.files(name).result]).to_pylist():
            there = night.get(row["customer_id"])
            seen = there is not None and (not segments or there["segment"] in segments)
            assert row["log_odds"] == (there["log_odds"] if there and seen else None)
            assert row["problem"] == (None if seen else "the newest published night has no such customer")


def publish_night(settings: Settings, champion: Version, rows: pa.Table) -> None:
    """The night's scores, and in two files the snapshot that they were made from."""
    from churn.buckets import bucket_of

    known_at = datetime.combine(NIGHT, datetime.min.time())
    snapshot = Lake(settings.lake).snapshot(TINY.name, NIGHT, known_at, "d" * 64)
    publisher = open_publisher(settings)
    claim = publisher.claim(Unit(TINY.name, "scores", NIGHT, known_at), Content("key", "extract"))
    assert isinstance(claim, Claim)
    folder = publisher.stage(claim)
    buckets = bucket_of(rows["customer_id"], 2)
    for bucket in range(2):
        part = rows.filter(pa.array(buckets == bucket))
        write_parquet(part, snapshot / bucket_file(bucket))
        write_parquet(scored(part, champion), folder / "scores" / bucket_file(bucket))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), folder / QUARANTINE.name / "rows.parquet")
    write_manifest(describe(snapshot, {"extract": "extract"}), snapshot)
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


@dataclass(frozen=True)
class Service:
    """A process that serves, and those that it starts."""

    process: subprocess.Popen[bytes]
    client: httpx.Client

    def post(self, rows: pa.Table) -> str:
        answer = self.client.post("/api/v1/jobs", content=as_csv(rows), headers={"content-type": "text/csv"})
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(settings: Settings, port: int, **environment: str) -> Iterator[Service]:
    home = {"CHURN_HOME": str(settings.data.parent), "CHURN_MODE": "development"}
    command = [sys.executable, "-c", SERVE, str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **home, **environment}, start_new_session=True)
    token = issue_token(OWNER, open_keyring(settings))
    headers = {"authorization": f"Bearer {token}", "x-purpose": "tests"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
        service = Service(process, client)
        try:
            assert eventually(lambda: alive(client))
            yield service
        finally:
            if process.poll() is None:
                service.kill()


def test_a_job_whose_service_was_killed_is_ended_by_the_next_with_the_same_result(
    settings: Settings, champion: Version, free_port: int
):
    rows = cards.customers(21_000)  # two chunks of 10,000, and some
    jobs = open_jobs(settings, engine_for(settings.database_url))
    with served(settings, free_port, CHURN_FAULT_POINT="stop:job-chunk*2") as first:
        place = first.post(rows)
        name = place.rpartition("/")[2]
        assert eventually(lambda: done(jobs, name) == 20_000)
        first.kill()
    with jobs.engine.begin() as connection:  # as if a lease had passed
        connection.execute(sa.update(job).values(lease_until=sa.text("'2020-01-01 00:00:00.000000'")))
    with served(settings, free_port) as second:
        assert eventually(lambda: second.client.get(place).json()["state"] == "done")
        unkilled = second.post(rows)
        with second.client.stream("GET", f"{unkilled}/events", timeout=120) as told:
            events = [line for line in told.iter_lines() if line.startswith("event: ")]
        assert (events[0], events[-1]) == ("event: progress", "event: done")
        results = [second.client.get(f"{each}/result").content for each in (place, unkilled)]
        second.process.terminate()
        assert second.process.wait(30) == -signal.SIGTERM
    assert results[0] == results[1]
    ended = jobs.of(name)
    assert ended is not None
    assert (ended.attempts, ended.rows, ended.done) == (2, 21_000, 21_000)


def done(jobs: Jobs, name: str) -> int:
    found = jobs.of(name)
    return found.done if found else 0


def alive(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


def eventually(seen: Callable[[], bool], seconds: float = 120.0) -> bool:
    ends = time.monotonic() + seconds
    while not seen() and time.monotonic() < ends:
        time.sleep(0.05)
    return seen()
