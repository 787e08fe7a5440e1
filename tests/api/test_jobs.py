"""A job scores in the background what a prediction would, says how far it is, and shows its result to its owner."""

from __future__ import annotations

import io
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pyarrow import csv

from api import job_worker
from api.app import create_app
from api.job_taker import Taker
from api.job_worker import work
from churn.errors import StoreUnreachable
from schemas.jobs import JOB_RESULTS, State
from schemas.users import Role, User
from store.access_tables import job, lookup_audit
from store.artifacts import LARGEST_FILE as LARGEST_MODEL
from store.clearing import cleared
from store.jobs import Job, Jobs
from store.publication import open_publisher
from store.registry import Version
from store.retention import read_retention
from store.service_settings import ServiceSettings
from store.settings import Settings
from store.tables import engine_for
from tests import cards
from tests.api.service import TINY, Ask, promoted, running, scored

PATH = "/api/v1/jobs"
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
SENDERS = [
    # kind        how the rows are sent
    ("json", lambda rows: {"json": {"rows": rows.to_pylist()}}),
    (CSV, lambda rows: {"content": as_csv(rows), "headers": {"content-type": CSV}}),
    (PARQUET, lambda rows: {"content": as_parquet(rows), "headers": {"content-type": PARQUET}}),
]
SAME = ("probability", "log_odds", "band", "customer_value", "reason_1_feature", "relief_1_log_odds", "model_digest")

REFUSED = [
    # what is sent                                             code   what is wrong
    ({"json": {}}, 422),
    ({"json": {"rows": [], "customer_ids": ["C1"]}}, 422),
    ({"json": {"rows": [{"tenure": 1}], "customer_ids": ["C1"]}}, 422),
    ({"json": {"customer_ids": ["C\x00"]}}, 422),
    ({"json": {"rows": [{"tenure": [1]}]}}, 422),
    ({"json": {"customer_ids": ["C1"], "is_admin": True}}, 422),
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    ({"content": b'{"rows": [{"tenure": NaN}]}', "headers": {"content-type": "application/json"}}, 422),
    ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
    ({"content": b"x" * (5 << 20), "headers": {"content-type": CSV}}, 413),
    ({"content": b'"' + b"x" * (2 << 20) + b'"', "headers": {"content-type": "application/json"}}, 413),
]
FAILED = [
    # what is sent                      why it fails
    (b"tenure,plan\n1,P1\n", "it lacks customer_id"),
    (b"customer_id,tenure,phone\nC1,1,5\n", "it has, and the contract does not, phone"),
    (b"customer_id,customer_id\nC1,C1\n", "it has twice customer_id"),
    (b"customer_id\n", "it has 0 rows"),
    (b"\xff\xfe\n\xff\n", "it is no CSV in UTF-8"),
]
LONG = "x" * (256 << 10)
BOMBS = [
    # what is sent, which is small                                        why it is not unpacked
    (PARQUET, lambda: as_parquet(repeated("customer_id", LONG, 4_000)), "it holds more than 268,435,456 bytes"),
    (PARQUET, lambda: as_parquet(repeated("strange", LONG, 4_000)), "the contract does not, strange"),
    (PARQUET, lambda: as_parquet(repeated("customer_id", [LONG], 4)), "types that no customer has: customer_id"),
    (PARQUET, lambda: as_parquet(repeated("customer_id", "C1", 100_001)), "it has 100,001 rows"),
    (CSV, lambda: ",".join(f"c{place}" for place in range(100_000)).encode() + b"\n", "it lacks customer_id"),
    (CSV, lambda: b'"a\n",' + b"customer_id," * 100_000 + b"\n", "it has twice customer_id"),
    (CSV, lambda: b'"' + b"x" * 200_000, "it is no CSV in UTF-8"),
    ("application/json", lambda: wide_json(names=1_000, rows=9_999), "the contract does not, c0, c1"),
]
ONE_ROW = {"rows": [{"customer_id": "C1"}]}
PROBLEMS = """
customer_id,tenure,in_contract,dropped,problem
C1,12,yes,0.1,
C2,-1,yes,0.1,tenure: below 0
C3,a year,no,,tenure: not whole numbers
C4,,,,
,12,yes,0.1,customer_id: missing
C6,12.0,perhaps,0.1,in_contract: not yes or no
""".strip()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, rates={"jobs": 60_000, "operations": 60_000})


def as_csv(rows: pa.Table) -> bytes:
    written = io.BytesIO()
    csv.write_csv(rows, written)
    return written.getvalue()


def as_parquet(rows: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(rows, written)
    return written.getvalue()


def repeated(name: str, value: Any, rows: int) -> pa.Table:
    """A table that is one value as long as it is not unpacked."""
    once, places = pa.array([value]), pa.array([0] * rows, pa.int32())
    column = once.take(places) if isinstance(value, list) else pa.DictionaryArray.from_arrays(places, once)
    return pa.table({name: column})


def wide_json(names: int, rows: int) -> bytes:
    """Each row has a cell for each name, be it in one row alone."""
    return json.dumps({"rows": [{f"c{place}": 1 for place in range(names)}, *[{}] * rows]}).encode()


def begun(ask: Ask, **how: Any) -> str:
    answer = ask("POST", PATH, **how)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['job']}"
    assert answer.json()["state"] in ("waiting", "running", "done")
    return answer.headers["location"]


def ended(ask: Ask, settings: Settings, **how: Any) -> tuple[str, dict[str, Any]]:
    """The place of a job that was worked off here, and not by a process of the service, which takes seconds."""
    place = begun(ask, **how)
    work(settings)
    return place, ask("GET", place).json()


def result(ask: Ask, place: str, kind: str = PARQUET) -> httpx.Response:
    return ask("GET", f"{place}/result", headers={"accept": kind})


def table(ask: Ask, place: str) -> pa.Table:
    return pq.read_table(io.BytesIO(result(ask, place).content))


@pytest.fixture(autouse=True)
def no_process_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests work jobs off themselves; those of tests/store/test_jobs.py see the service do it."""
    monkeypatch.setattr("api.job_taker.LOOK_SECONDS", 1_000.0)


@pytest.mark.parametrize(("kind", "send"), SENDERS, ids=[kind for kind, _ in SENDERS])
def test_a_job_gives_every_row_the_score_of_the_night_to_the_bit(ask: Ask, settings, champion: Version, kind, send):
    rows = cards.customers(200)
    place, job_shown = ended(ask, settings, **send(rows))
    assert (job_shown["state"], job_shown["rows"], job_shown["done"], job_shown["progress"]) == ("done", 200, 200, 1.0)
    found, night = table(ask, place), scored(rows, champion)
    assert found.column_names == list(JOB_RESULTS.names)
    assert found["row"].to_pylist() == list(range(1, 201))
    assert found["customer_id"].equals(rows["customer_id"])
    for name in SAME:
        assert found[name].to_pylist() == night[name].to_pylist(), name


def test_rows_with_a_problem_are_named_and_the_others_scored(ask: Ask, settings: Settings):
    given = csv.read_csv(io.BytesIO(PROBLEMS.encode()))
    sent = "\n".join(line.rpartition(",")[0] for line in PROBLEMS.splitlines()).encode()
    place, job_shown = ended(ask, settings, content=sent, headers={"content-type": CSV})
    assert job_shown["state"] == "done", job_shown
    found = table(ask, place)
    wanted = [problem or None for problem in given["problem"].to_pylist()]
    assert found["problem"].to_pylist() == wanted
    assert [value is None for value in found["log_odds"].to_pylist()] == [problem is not None for problem in wanted]


def test_the_result_is_csv_for_who_wants_that_and_no_cell_is_a_formula(ask: Ask, settings: Settings):
    rows = cards.customers(3)
    rows = rows.set_column(0, "customer_id", pa.array(["C1", "=1+1", "C3"]))
    place, job_shown = ended(ask, settings, json={"rows": rows.to_pylist()})
    answer = result(ask, place, CSV)
    assert answer.headers["content-type"].startswith(CSV)
    assert csv.read_csv(io.BytesIO(answer.content))["customer_id"].to_pylist() == ["C1", "'=1+1", "C3"]
    assert len(job_shown["result_sha256"]) == 64


@pytest.mark.parametrize(("how", "code"), REFUSED)
def test_what_cannot_be_a_job_is_refused_at_once(ask: Ask, settings: Settings, how: dict[str, Any], code: int):
    answer = ask("POST", PATH, **how)
    assert (answer.status_code, answer.headers["content-type"]) == (code, "application/problem+json"), answer.text
    assert not (settings.lake / "jobs").exists()


@pytest.mark.parametrize(("sent", "why"), FAILED)
def test_a_file_that_cannot_be_scored_fails_and_says_why(ask: Ask, settings: Settings, sent: bytes, why: str):
    place, job_shown = ended(ask, settings, content=sent, headers={"content-type": CSV})
    assert job_shown["state"] == "failed"
    assert why in job_shown["reason"]
    assert result(ask, place).status_code == 409


def test_nobody_has_more_jobs_under_way_than_he_may(settings: Settings, champion: Version):
    quickly, few = replace(settings, rates={"jobs": 6_000}), ServiceSettings(waiting_jobs=2)
    with running(create_app(quickly, TINY.name, few)) as ask:
        for _ in range(2):
            begun(ask, json=ONE_ROW)
        refused = ask("POST", PATH, json=ONE_ROW)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert refused.json()["detail"].startswith("You have as many jobs waiting or running as you may.")
        assert len(list((settings.lake / "jobs").iterdir())) == 2, "what was sent in vain is kept"
        work(settings)
        begun(ask, json=ONE_ROW)


def test_the_files_of_all_jobs_take_no_more_than_their_room(settings: Settings, champion: Version):
    half = {"content": b"customer_id\n" + b"C1\n" * 200_000, "headers": {"content-type": CSV}}
    with running(create_app(settings, TINY.name, ServiceSettings(jobs_megabytes=1))) as ask:
        begun(ask, **half)
        refused = ask("POST", PATH, **half)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert "no room" in refused.json()["detail"]
        begun(ask, json=ONE_ROW)


def test_a_request_that_is_sent_again_under_its_key_is_the_same_job(ask: Ask, settings: Settings):
    key, one = {"idempotency-key": "job-of-tonight"}, {"rows": [{"customer_id": "C1"}]}
    places = {begun(ask, json=one, headers=key) for _ in range(3)}
    assert len(places) == 1
    assert ask("POST", PATH, json={"rows": [{"customer_id": "C2"}]}, headers=key).status_code == 409
    assert len(list((settings.lake / "jobs").iterdir())) == 1, "what was sent in vain is kept"
    assert begun(ask, json=one) not in places, "without a key each is a job of its own"


def test_a_key_stands_for_a_request_to_one_base_alone(ask: Ask, settings: Settings):
    one = {"json": {"rows": [{"customer_id": "C1"}]}, "headers": {"idempotency-key": "job-of-tonight"}}
    begun(ask, **one)
    app = create_app(settings, TINY.name)
    with running(app) as ask_another:
        app.state.place.contract = "another"  # with champions of its own, which no process looks for any more
        assert ask_another("POST", PATH, **one).status_code == 409


def test_the_database_is_not_held_while_a_file_is_written(ask: Ask, settings: Settings, monkeypatch):
    kept = Jobs.keep

    def keep_while_another_writes(jobs: Jobs, content: bytes) -> str:
        with engine_for(settings.database_url).begin() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
        return kept(jobs, content)

    monkeypatch.setattr(Jobs, "keep", keep_while_another_writes)
    begun(ask, json={"rows": [{"customer_id": "C1"}]}, headers={"idempotency-key": "job-of-tonight"})


def test_a_request_that_is_sent_many_times_at_once_is_one_job(ask: Ask, settings: Settings):
    one = {"json": {"customer_ids": ["C1"]}, "headers": {"idempotency-key": "all-at-once"}}
    with ThreadPoolExecutor(4) as at_once:
        places = list(at_once.map(lambda _: begun(ask, **one), range(4)))
    assert_one_job(settings, places)


def test_postgresql_takes_a_request_that_is_sent_many_times_at_once_for_one_job(settings: Settings, postgres_url: str):
    on_postgres = replace(settings, database_url=postgres_url)
    promoted(on_postgres)
    one = {"json": {"customer_ids": ["C1"]}, "headers": {"idempotency-key": "all-at-once"}}
    with running(create_app(on_postgres, TINY.name)) as ask, ThreadPoolExecutor(4) as at_once:
        places = list(at_once.map(lambda _: begun(ask, **one), range(4)))
    assert_one_job(on_postgres, places)


def assert_one_job(settings: Settings, places: list[str]) -> None:
    assert len(set(places)) == 1
    with engine_for(settings.database_url).connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(job)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(lookup_audit)) == 1
    assert len(list((settings.lake / "jobs").iterdir())) == 1


def test_a_hostile_file_takes_no_job_with_it(ask: Ask, settings: Settings):
    broken = as_parquet(cards.customers(50))
    for content in (broken[:100], b"PAR1" + b"[{" * 500 + b"PAR1", broken[:-9] + b"\xff" * 5 + broken[-4:]):
        assert ended(ask, settings, content=content, headers={"content-type": PARQUET})[1]["state"] == "failed"
    assert ended(ask, settings, content=broken, headers={"content-type": PARQUET})[1]["state"] == "done"


@pytest.mark.parametrize(("kind", "content", "why"), BOMBS)
def test_a_small_file_that_stands_for_a_large_one_is_never_unpacked(
    ask: Ask, settings: Settings, kind: str, content: Callable[[], bytes], why: str
):
    place = begun(ask, content=content(), headers={"content-type": kind})
    taken = memory_taken(settings)
    job_shown = ask("GET", place).json()
    assert (job_shown["state"], why in job_shown["reason"]) == ("failed", True), job_shown["reason"]
    assert taken < LARGEST_MODEL + (150 << 20)


def test_a_job_that_needs_more_memory_than_it_may_have_fails_alone(ask: Ask, settings: Settings):
    large = begun(ask, content=as_parquet(repeated("customer_id", LONG, 900)), headers={"content-type": PARQUET})
    small = begun(ask, json={"rows": cards.customers(3).to_pylist()})
    beside = get_context("spawn").Process(target=work_in_little_memory, args=(settings,))
    beside.start()
    beside.join(60)
    assert beside.exitcode == 0
    assert ask("GET", large).json()["reason"].startswith("it needs more memory than a job may take")
    assert ask("GET", small).json()["state"] == "done"


def work_in_little_memory(settings: Settings) -> None:
    job_worker.MOST_MEMORY = 600 << 20
    job_worker.work_beside(settings, None)


def memory_taken(settings: Settings) -> int:
    """Bytes that Python had and Arrow had more than ever before while what was due was worked off.

    Python's are those of the largest model at the least: one that is read is given them first.
    """
    most_before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    try:
        work(settings)
        return tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory() - most_before
    finally:
        tracemalloc.stop()


def test_customers_who_are_named_stand_in_the_log_of_look_ups(ask: Ask, settings: Settings):
    begun(ask, json={"customer_ids": ["C1", "C2"]})
    begun(ask, json={"rows": cards.customers(3).to_pylist()})
    with engine_for(settings.database_url).connect() as connection:
        assert connection.execute(sa.select(lookup_audit.c.what)).scalars().all() == ["job", "job"]


def test_without_a_night_there_are_no_customers_to_score(ask: Ask, settings: Settings):
    assert "no night of that base is kept" in ended(ask, settings, json={"customer_ids": ["C1"]})[1]["reason"]


def test_the_owner_alone_sees_the_result_and_operators_how_far_it_is(ask: Ask, settings: Settings):
    dialler, other = User("dialler", Role.SERVICE), User("crm", Role.SERVICE)
    with running(create_app(settings, TINY.name), who=dialler) as ask_dialler:
        place, _ = ended(ask_dialler, settings, json={"rows": cards.customers(2).to_pylist()})
        assert result(ask_dialler, place).status_code == 200
    with running(create_app(settings, TINY.name), who=other) as ask_other:
        assert [ask_other("GET", at).status_code for at in (place, f"{place}/result", f"{place}/events")] == [404] * 3
    assert [ask("GET", at).status_code for at in (place, f"{place}/result")] == [200, 404]


@pytest.mark.parametrize("role", [Role.AGENT, Role.ANALYST])
def test_jobs_are_for_programs_and_operators(settings: Settings, champion: Version, role: Role):
    with running(create_app(settings, TINY.name), who=User("somebody", role)) as ask:
        assert ask("POST", PATH, json={"rows": [{"customer_id": "C1"}]}).status_code == 403
        assert ask("GET", f"{PATH}/{'0' * 24}").status_code == 403


@pytest.mark.parametrize(("name", "code"), [("0" * 24, 404), ("x", 422), ("..%2f..", 404)])
def test_no_other_job_is_there(ask: Ask, name: str, code: int):
    assert ask("GET", f"{PATH}/{name}").status_code == code


def test_events_tell_of_each_step_and_end_with_the_job(ask: Ask, settings: Settings):
    place, _ = ended(ask, settings, json={"rows": cards.customers(2).to_pylist()})
    answer = ask("GET", f"{place}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    [told] = [block for block in answer.text.split("\n\n") if block.startswith("event:")]
    event, data = told.splitlines()
    assert (event, json.loads(data.removeprefix("data: "))["state"]) == ("event: done", "done")


def test_events_of_a_job_that_is_worked_on_tell_how_far_it_is(ask: Ask, settings: Settings, monkeypatch):
    monkeypatch.setattr("api.jobs.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("api.jobs.STREAM_SECONDS", 0.3)
    place = begun(ask, json={"rows": cards.customers(2).to_pylist()})
    began = time.monotonic()
    assert [line for line in ask("GET", f"{place}/events").text.splitlines() if line.startswith("event")] == [
        "event: progress"
    ]
    assert time.monotonic() - began < 5


def test_a_stream_outlives_a_moment_without_the_database(ask: Ask, settings: Settings, monkeypatch):
    monkeypatch.setattr("api.jobs.LOOK_SECONDS", 0.01)
    place, _ = ended(ask, settings, json=ONE_ROW)
    looked, looks = Jobs.of, []

    def away_now_and_then(self: Jobs, name: str) -> Job | None:
        looks.append(name)
        if len(looks) in (2, 3):
            raise StoreUnreachable("the database does not answer")
        found = looked(self, name)
        return replace(found, state=State.RUNNING) if found and len(looks) == 1 else found

    monkeypatch.setattr(Jobs, "of", away_now_and_then)
    assert "event: done" in ask("GET", f"{place}/events").text


def test_a_result_whose_file_is_gone_is_told_before_anything_is_sent(ask: Ask, settings: Settings):
    dialler = User("dialler", Role.SERVICE)
    with running(create_app(settings, TINY.name), who=dialler) as ask_dialler:
        place, _ = ended(ask_dialler, settings, json=ONE_ROW)
        for file in (settings.lake / "jobs").glob("*/result.*"):
            file.unlink()
        assert result(ask_dialler, place).status_code == 404


def test_nobody_listens_to_more_jobs_at_once_than_he_may(ask: Ask, settings: Settings, monkeypatch):
    monkeypatch.setattr("api.jobs.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("api.jobs.STREAM_SECONDS", 1.0)
    monkeypatch.setattr("api.jobs.MOST_STREAMS", 2)
    place = begun(ask, json={"rows": cards.customers(2).to_pylist()})
    with ThreadPoolExecutor(4) as at_once:
        answers = list(at_once.map(lambda _: ask("GET", f"{place}/events"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "5"}
    assert ask("GET", f"{place}/events").status_code == 200, "who closed a stream may open another"


def test_streams_look_one_after_the_other(ask: Ask, settings: Settings, monkeypatch):
    monkeypatch.setattr("api.jobs.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("api.jobs.STREAM_SECONDS", 1.0)
    place, looking, most = begun(ask, json={"rows": cards.customers(2).to_pylist()}), [], []
    looked = Jobs.of

    def look(jobs: Jobs, name: str) -> Job | None:
        looking.append(name)
        most.append(len(looking))
        time.sleep(0.05)
        looking.pop()
        return looked(jobs, name)

    with ThreadPoolExecutor(4) as at_once:
        streams = [at_once.submit(ask, "GET", f"{place}/events") for _ in range(4)]
        time.sleep(0.5)
        monkeypatch.setattr(Jobs, "of", look)
        assert [stream.result().status_code for stream in streams] == [200] * 4
    assert max(most) == 1


def test_what_ended_long_ago_is_gone_with_its_files(ask: Ask, settings: Settings):
    place, _ = ended(ask, settings, json={"rows": cards.customers(2).to_pylist()})
    with engine_for(settings.database_url).begin() as connection:
        connection.execute(sa.update(job).values(ended_at=sa.text("'2020-01-01 00:00:00.000000'")))
    never_added = settings.lake / "jobs" / ("f" * 24)
    never_added.mkdir()
    two_hours_ago = time.time() - 7_200
    os.utime(never_added, (two_hours_ago, two_hours_ago))
    work(settings)
    assert ask("GET", place).json()["state"] == State.GONE
    assert result(ask, place).status_code == 404
    assert not list((settings.lake / "jobs").iterdir())


def test_what_ended_long_ago_goes_with_all_that_is_kept_no_longer(ask: Ask, settings: Settings):
    place, _ = ended(ask, settings, json={"rows": cards.customers(2).to_pylist()})
    publisher, retention = open_publisher(settings), read_retention()
    assert list(cleared(publisher, retention)) == [], "it ended just now"
    with publisher.engine.begin() as connection:
        connection.execute(sa.update(job).values(ended_at=sa.text("'2020-01-01 00:00:00.000000'")))
    for dry_run in (True, False):
        [(going, gone)] = cleared(publisher, retention, dry_run=dry_run)
        assert (going.what, gone) == (f"job {place.rpartition('/')[2]}", not dry_run)
        assert going.bytes > 0
        assert going.folder.exists() is dry_run
    assert ask("GET", place).json()["state"] == State.GONE
    assert list(cleared(publisher, retention)) == []


def test_a_result_is_fetched_from_the_budget_of_what_is_large(settings: Settings, champion: Version):
    few = replace(settings, rates={"batch": 6})
    with running(create_app(few, TINY.name)) as ask:
        place, _ = ended(ask, few, json={"rows": cards.customers(2).to_pylist()})
        assert [result(ask, place).status_code for _ in range(2)] == [200, 429]
        assert ask("GET", place).status_code == 200


def test_what_ended_long_ago_is_gone_where_nobody_asks_for_another_job(ask: Ask, settings: Settings, monkeypatch):
    place, _ = ended(ask, settings, json={"rows": cards.customers(2).to_pylist()})
    with engine_for(settings.database_url).begin() as connection:
        connection.execute(sa.update(job).values(ended_at=sa.text("'2020-01-01 00:00:00.000000'")))
    monkeypatch.setattr("api.job_taker.LOOK_SECONDS", 0.01)
    taker = Taker(settings)
    taker.begin()
    until = time.monotonic() + 10
    while ask("GET", place).json()["state"] != State.GONE and time.monotonic() < until:
        time.sleep(0.05)
    taker.end()
    assert ask("GET", place).json()["state"] == State.GONE
    assert not list((settings.lake / "jobs").iterdir())


def test_a_callback_goes_to_hosts_alone_that_the_settings_name(
    settings: Settings, champion: Version, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_CALLBACK_HOSTS", "crm.example.com")
    monkeypatch.setenv("CHURN_CALLBACK_KEY", "a2" * 21 + "a=")
    one = {"rows": [{"customer_id": "C1"}]}
    with running(create_app(settings, TINY.name)) as ask:
        assert ask("POST", PATH, json=one, params={"callback": "https://crm.example.com/done"}).status_code == 202
        for url in (
            "https://evil.example.com/",
            "file:///etc/passwd",
            "https://crm.example.com:22/",
            "x",
            "https://[x",
            "https://crm.example.com/\0",
        ):
            refused = ask("POST", PATH, json=one, params={"callback": url})
            assert refused.status_code == 422, url
            assert refused.json()["title"] == "The request asks for what is not possible"
