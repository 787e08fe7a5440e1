"""Readers see the last whole night or the next whole one, whatever becomes of the run that publishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from traceback import format_exception
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from churn.errors import AlreadyRunning, AuditFailed, Fenced, PublicationError, StoreUnreachable
from churn.night import Due
from schemas.columns import LogicalType
from schemas.columns import Table as Schema
from schemas.outreach import OUTREACH, STATUSES
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store import lake, partitions, publication
from store.claims import Claim, Content, Unit
from store.publication import CURRENT, Published, Publisher, content_key, current_folder, open_publisher
from store.settings import Settings
from store.tables import MOST_BASES
from store.tables import publication as publication_table

D1, D2 = date(2026, 1, 1), date(2026, 1, 2)
FIRST = Unit("telco", "scores", D1, datetime.fromisoformat("2026-01-01T00:00:00"))
SECOND = Unit("telco", "scores", D2, datetime.fromisoformat("2026-01-02T00:00:00"))
AWAY = [
    "postgresql+psycopg://writer:s3cret@127.0.0.1:1/churn?password=s3cret",
    "postgresql+psycopg://writer@127.0.0.1:1/churn?password=s3cret",
    "sqlite:///{folder}",
]
NO_TIME = timedelta(seconds=-1)


@pytest.fixture
def publisher(database_with_tables: str, settings: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(replace(settings, database_url=database_with_tables))
    yield publisher
    publisher.engine.dispose()


def made_of(key: str) -> Content:
    return Content(content_key(key), f"extract {key}")


def claimed(publisher: Publisher, unit: Unit, key: str = "k", lease: timedelta = timedelta(minutes=1)) -> Claim:
    claim = publisher.claim(unit, made_of(key), lease=lease)
    assert isinstance(claim, Claim)
    return claim


def lapse(publisher: Publisher, claim: Claim) -> None:
    """Lets the claim's lease run out."""
    gone = sa.update(publication_table).where(publication_table.c.run_id == claim.run_id)
    with publisher.engine.begin() as connection:
        connection.execute(gone.values(lease_until=datetime(2020, 1, 1)))  # noqa: DTZ001 - the database's, in UTC


def write(publisher: Publisher, claim: Claim, customers: int = 100, probability: float = 0.5) -> None:
    folder = publisher.stage(claim)
    for bucket in range(2):
        lake.write_parquet(
            scores(claim.unit.as_of, bucket, customers // 2, probability),
            folder / "scores" / lake.bucket_file(bucket),
        )
    lake.write_parquet(rows_of(QUARANTINE, 3, D1), folder / "quarantine" / "quarantine.parquet")


def scores(as_of: date, bucket: int, customers: int, probability: float) -> pa.Table:
    rows = rows_of(SCORES, customers, as_of)
    names = pa.array([f"C{bucket}{n:05d}" for n in range(customers)])
    rows = rows.set_column(rows.column_names.index("customer_id"), "customer_id", names)
    return rows.set_column(
        rows.column_names.index("probability"), "probability", pa.array(np.full(customers, probability))
    )


def rows_of(schema: Schema, rows: int, as_of: date) -> pa.Table:
    values = {
        LogicalType.STRING: lambda: pa.array([f"v{n}" for n in range(rows)]),
        LogicalType.INTEGER: lambda: pa.array(range(rows), pa.int64()),
        LogicalType.NUMBER: lambda: pa.array(np.arange(rows) / 8),
        LogicalType.DATE: lambda: pa.array([as_of] * rows, pa.date32()),
    }
    return pa.table({column.name: values[column.logical_type]() for column in schema.columns})


def published(publisher: Publisher, unit: Unit, key: str = "k", probability: float = 0.5) -> Published:
    claim = claimed(publisher, unit, key)
    write(publisher, claim, probability=probability)
    publisher.seal(claim)
    publisher.load(claim)
    return publisher.publish(claim)


def seen(publisher: Publisher, view: str = "score_current") -> set[tuple[date, str, int]]:
    """Each run that a view shows, with its date and the number of its rows."""
    with publisher.engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT as_of, run_id, count(*) FROM {view} GROUP BY as_of, run_id"))
        return {(_date(as_of), run_id, count) for as_of, run_id, count in rows}


def _date(as_of: date | str) -> date:
    return date.fromisoformat(as_of) if isinstance(as_of, str) else as_of


def count(publisher: Publisher, table: str) -> int:
    with publisher.engine.connect() as connection:
        return connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()


def files_of(publisher: Publisher) -> set[Path]:
    return {path.relative_to(publisher.lake.root) for path in publisher.lake.root.rglob("*") if path.is_file()}


def test_a_night_is_published_to_the_views_and_to_the_files(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    assert (run.revision, run.rows, run.unit) == (1, 100, FIRST)
    assert seen(publisher) == seen(publisher, "score_history") == {(D1, run.run_id, 100)}
    assert seen(publisher, "quarantine_current") == {(D1, run.run_id, 3)}
    assert publisher.current("telco", "scores") == run == publisher.published("telco", "scores", D1)
    assert current_folder(publisher.lake, "telco", "scores") == run.folder
    assert lake.differences(lake.read_manifest(run.folder), run.folder) == []
    assert not any(path.parts[0] == "staging" for path in files_of(publisher))


def test_the_table_holds_what_the_files_hold(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    names = ", ".join(name for name in SCORES.names if name != "as_of")
    with publisher.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {names} FROM score_current ORDER BY customer_id")).all()
    written = lake.read_parquet(sorted((run.folder / "scores").iterdir())).drop_columns("as_of").sort_by("customer_id")
    assert [tuple(row) for row in found] == list(zip(*(column.to_pylist() for column in written.columns), strict=True))


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_few_rows_is_published_like_any_other(publisher: Publisher, rows: int) -> None:
    claim = claimed(publisher, FIRST)
    write(publisher, claim)
    few = rows_of(QUARANTINE, rows, D1)
    lake.write_parquet(few, publisher.stage(claim) / "quarantine" / "quarantine.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)
    assert count(publisher, "quarantine_current") == rows
    names = ", ".join(f'"{name}"' for name in QUARANTINE.names)
    with publisher.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {names} FROM quarantine_current")).all()
    assert [tuple(row) for row in found] == [tuple(row.values()) for row in few.to_pylist()]


def test_before_the_first_night_there_is_nothing_to_see(publisher: Publisher) -> None:
    assert publisher.current("telco", "scores") is None
    assert publisher.published("telco", "scores", D1) is None
    assert current_folder(publisher.lake, "telco", "scores") is None
    assert not publisher.reconcile("telco", "scores")


def test_the_same_content_again_is_found_published_and_nothing_changes(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    before = files_of(publisher)
    assert publisher.claim(FIRST, made_of("k")) == run
    assert files_of(publisher) == before
    assert count(publisher, "scores") == 100


def test_content_that_a_later_revision_replaced_is_published_anew(publisher: Publisher) -> None:
    first, _, third = (published(publisher, FIRST, content) for content in ("A", "B", "A"))
    assert third.run_id != first.run_id
    assert (third.revision, third.content_key) == (3, first.content_key)
    assert seen(publisher) == {(D1, third.run_id, 100)}
    assert publisher.claim(FIRST, made_of("A")) == third


def test_the_same_night_by_force_gives_the_same_bytes(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    claim = publisher.claim(FIRST, made_of("k"), force=True)
    assert isinstance(claim, Claim)
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    again = publisher.publish(claim)
    assert again.run_id != run.run_id
    assert (again.revision, again.manifest_sha256) == (2, run.manifest_sha256)


def test_a_second_run_is_told_who_holds_the_night(publisher: Publisher) -> None:
    claim = claimed(publisher, FIRST)
    with pytest.raises(AlreadyRunning, match=f"run {claim.run_id} holds it"):
        publisher.claim(FIRST, made_of("k"))
    claimed(publisher, SECOND)
    claimed(publisher, replace(FIRST, kind="outreach"))
    claimed(publisher, replace(FIRST, contract="iranian"))


def test_of_many_that_claim_at_once_exactly_one_gets_the_night(publisher: Publisher) -> None:
    told: list[object] = []

    def attempt() -> None:
        try:
            told.append(publisher.claim(FIRST, made_of("k")))
        except AlreadyRunning as refused:
            told.append(refused)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(answer).__name__ for answer in told) == ["AlreadyRunning"] * 5 + ["Claim"]


def test_a_run_that_died_before_the_commit_leaves_readers_on_the_old_night(publisher: Publisher) -> None:
    old = published(publisher, FIRST)
    dead = claimed(publisher, SECOND, lease=NO_TIME)
    for step in (lambda: write(publisher, dead), lambda: publisher.seal(dead), lambda: publisher.load(dead)):
        step()
        assert seen(publisher) == {(D1, old.run_id, 100)}
        assert current_folder(publisher.lake, "telco", "scores") == old.folder


def test_the_next_run_takes_over_from_a_dead_one_and_leaves_nothing_of_it(publisher: Publisher) -> None:
    dead = claimed(publisher, FIRST)
    write(publisher, dead)
    publisher.seal(dead)
    publisher.load(dead)
    (publisher.drafts(dead) / "bucket=00.parquet").touch()
    lapse(publisher, dead)
    run = published(publisher, FIRST)
    assert run.fence > dead.fence
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert (count(publisher, "scores"), count(publisher, "quarantine")) == (100, 3)
    assert not any(dead.run_id in path.as_posix() for path in files_of(publisher))


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("step", ["renew", "seal", "load", "publish"])
def test_a_run_that_was_taken_over_can_do_nothing_more(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, step: str, swept: bool
) -> None:
    zombie = claimed(publisher, FIRST)
    write(publisher, zombie)
    if step in ("load", "publish"):
        publisher.seal(zombie)
    if step == "publish":
        publisher.load(zombie)
    lapse(publisher, zombie)
    with monkeypatch.context() as patch:
        if not swept:
            patch.setattr(Publisher, "_remove_leftovers", lambda _: 0)
        run = published(publisher, FIRST)
    with pytest.raises(Fenced, match=zombie.run_id):
        getattr(publisher, step)(zombie)
    publisher.sweep()
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert count(publisher, "scores") == 100
    assert current_folder(publisher.lake, "telco", "scores") == run.folder


def test_a_claim_that_takes_over_removes_what_the_dead_run_left(publisher: Publisher) -> None:
    dead = claimed(publisher, FIRST)
    write(publisher, dead)
    publisher.seal(dead)
    publisher.load(dead)
    (publisher.drafts(dead) / "bucket=00.parquet").touch()
    lapse(publisher, dead)
    claimed(publisher, FIRST)
    assert count(publisher, "scores") + count(publisher, "quarantine") == 0
    assert files_of(publisher) == set()


@pytest.mark.parametrize("way", ["the next night", "a sweep"])
def test_of_a_dead_run_whose_night_nobody_claims_again_nothing_is_left(publisher: Publisher, way: str) -> None:
    dead = claimed(publisher, FIRST)
    write(publisher, dead)
    publisher.seal(dead)
    publisher.load(dead)
    (publisher.drafts(dead) / "bucket=00.parquet").touch()
    lapse(publisher, dead)
    _ = published(publisher, SECOND) if way == "the next night" else publisher.sweep()
    assert state_of(publisher, dead.run_id) == ("abandoned", "its lease ran out")
    assert not any(dead.run_id in path.as_posix() for path in files_of(publisher))
    assert fences(publisher) <= {dead.fence + 1}
    with pytest.raises(Fenced, match=dead.run_id):
        publisher.renew(dead)


def test_a_run_that_is_alive_is_left_alone_by_those_of_other_nights(publisher: Publisher) -> None:
    alive = claimed(publisher, FIRST)
    write(publisher, alive)
    published(publisher, SECOND)
    publisher.seal(alive)
    publisher.sweep()
    publisher.load(alive)
    assert publisher.publish(alive).rows == 100


def state_of(publisher: Publisher, run_id: str) -> tuple[str, str]:
    with publisher.engine.connect() as connection:
        query = sa.text("SELECT state, reason FROM publication WHERE run_id = :run_id").bindparams(run_id=run_id)
        state, reason = connection.execute(query).one()
    return state, reason


def fences(publisher: Publisher) -> set[int]:
    with publisher.engine.connect() as connection:
        return set(connection.scalars(sa.text("SELECT fence FROM scores UNION SELECT fence FROM quarantine")))


@pytest.mark.parametrize("end", ["reject", "release"])
def test_ending_a_run_that_was_taken_over_only_removes_what_it_wrote_since(publisher: Publisher, end: str) -> None:
    zombie = claimed(publisher, FIRST, lease=NO_TIME)
    run = published(publisher, FIRST)
    before = files_of(publisher)
    write(publisher, zombie)
    (publisher.drafts(zombie) / "bucket=00.parquet").touch()
    getattr(publisher, end)(zombie, "late")
    assert files_of(publisher) == before
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert reason_of(publisher, zombie.run_id) == "its lease ran out"


@pytest.mark.parametrize("end", ["reject", "release"])
def test_ending_a_run_that_was_published_takes_nothing_from_readers(publisher: Publisher, end: str) -> None:
    run = published(publisher, FIRST)
    before = files_of(publisher)
    getattr(publisher, end)(Claim(FIRST, run.run_id, run.fence, run.content_key), "could not tell of it")
    assert files_of(publisher) == before
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert (publisher.current("telco", "scores"), reason_of(publisher, run.run_id)) == (run, None)


def reason_of(publisher: Publisher, run_id: str) -> str | None:
    with publisher.engine.connect() as connection:
        query = sa.text("SELECT reason FROM publication WHERE run_id = :run_id").bindparams(run_id=run_id)
        return connection.execute(query).scalar_one()


@pytest.mark.parametrize("end", ["publish", "reject", "release"])
def test_drafts_are_gone_when_the_run_has_ended(publisher: Publisher, end: str) -> None:
    claim = claimed(publisher, FIRST)
    drafts = publisher.drafts(claim)
    (drafts / "bucket=00.parquet").touch()
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    assert drafts.is_dir()
    getattr(publisher, end)(*((claim,) if end == "publish" else (claim, "late")))
    assert list(publisher.lake.staging.iterdir()) == []


def test_what_cannot_be_swept_now_undoes_no_publication_and_goes_later(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("DELETE", {}, Exception("database is locked"))

    dead = claimed(publisher, FIRST)
    write(publisher, dead)
    publisher.seal(dead)
    publisher.load(dead)
    lapse(publisher, dead)
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "forget_rows", fail)
        run = published(publisher, FIRST)
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert (publisher.sweep(), publisher.sweep()) == (2, 0)
    assert (count(publisher, "scores"), count(publisher, "quarantine")) == (100, 3)


def test_a_claim_lost_while_loading_undoes_the_file_at_hand(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    zombie = claimed(publisher, FIRST)
    write(publisher, zombie)
    publisher.seal(zombie)
    read, taken = lake.read_parquet, []

    one_at_a_time = threading.Lock()

    def read_and_be_taken_over(paths: list[Path], columns: list[str] | None = None) -> pa.Table:
        with one_at_a_time:
            if not taken:
                lapse(publisher, zombie)
                taken.append(publisher.claim(FIRST, made_of("k")))
        return read(paths, columns)

    monkeypatch.setattr(lake, "read_parquet", read_and_be_taken_over)
    with pytest.raises(Fenced):
        publisher.load(zombie)
    assert count(publisher, "scores") + count(publisher, "quarantine") == 0


def test_every_step_may_be_repeated(publisher: Publisher) -> None:
    claim = claimed(publisher, FIRST)
    write(publisher, claim)
    assert publisher.seal(claim) == publisher.seal(claim)
    publisher.load(claim)
    publisher.load(claim)
    assert publisher.publish(claim) == publisher.publish(claim)
    assert count(publisher, "scores") == 100


def test_a_later_revision_takes_the_nights_place_and_the_earlier_one_stays(publisher: Publisher) -> None:
    first = published(publisher, FIRST)
    second = published(publisher, replace(FIRST, known_at=datetime.fromisoformat("2026-01-04T00:00:00")), "later")
    assert (first.revision, second.revision) == (1, 2)
    assert seen(publisher) == seen(publisher, "score_history") == {(D1, second.run_id, 100)}
    assert lake.differences(lake.read_manifest(first.folder), first.folder) == []
    assert count(publisher, "scores") == 200


def test_an_older_date_is_published_without_touching_the_newest(publisher: Publisher) -> None:
    newest = published(publisher, SECOND)
    older = published(publisher, FIRST)
    assert seen(publisher) == {(D2, newest.run_id, 100)}
    assert seen(publisher, "score_history") == {(D2, newest.run_id, 100), (D1, older.run_id, 100)}
    assert current_folder(publisher.lake, "telco", "scores") == newest.folder


def test_scores_and_the_list_are_published_each_on_its_own(publisher: Publisher) -> None:
    published(publisher, FIRST)
    claim = claimed(publisher, replace(FIRST, kind="outreach"))
    folder = publisher.stage(claim)
    lake.write_parquet(rows_of(OUTREACH, 5, D1), folder / "outreach" / "list.parquet")
    lake.write_parquet(rows_of(STATUSES, 100, D1), folder / "outreach_status" / "bucket=00.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    run = publisher.publish(claim)
    assert run.rows == 5
    assert seen(publisher, "outreach_current") == seen(publisher, "outreach_history") == {(D1, run.run_id, 5)}
    assert seen(publisher, "outreach_status_current") == {(D1, run.run_id, 100)}


def spoil_file(publisher: Publisher, claim: Claim) -> None:
    folder = publisher.lake.run("telco", "scores", D1, claim.run_id)
    with (folder / "scores" / "bucket=01.parquet").open("r+b") as file:
        file.seek(50)
        file.write(b"\x00\x01\x02")


def lose_rows(publisher: Publisher, claim: Claim) -> None:
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM scores WHERE customer_id = 'C000007'"))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (spoil_file, "file scores/bucket=01.parquet is not as it was written"),
        (lose_rows, "table scores holds 99 rows and the files 100"),
    ],
)
def test_copies_that_differ_from_the_manifest_are_not_published(
    publisher: Publisher, spoil: object, problem: str
) -> None:
    claim = claimed(publisher, FIRST)
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    assert callable(spoil)
    spoil(publisher, claim)
    with pytest.raises(AuditFailed, match=problem):
        publisher.publish(claim)
    assert seen(publisher) == set()


@pytest.mark.parametrize(("end", "state"), [("reject", "rejected"), ("release", "failed")])
def test_a_run_that_ends_unpublished_says_why_and_frees_the_night(publisher: Publisher, end: str, state: str) -> None:
    old = published(publisher, FIRST)
    claim = claimed(publisher, SECOND)
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    before = count(publisher, "scores")
    getattr(publisher, end)(claim, "5 % of the scores are missing")
    assert (before, count(publisher, "scores")) == (200, 100)
    assert seen(publisher) == {(D1, old.run_id, 100)}
    with publisher.engine.connect() as connection:
        query = "SELECT last_state, reason, run_id FROM night_status WHERE as_of = '2026-01-02'"
        assert connection.execute(sa.text(query)).one() == (state, "5 % of the scores are missing", None)
    assert published(publisher, SECOND).fence > claim.fence


def test_night_status_says_how_old_each_night_is(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    with publisher.engine.begin() as connection:
        an_hour = datetime.fromisoformat("2020-01-01T00:00:00")
        connection.execute(sa.text("UPDATE publication SET published_at = :then").bindparams(then=an_hour))
        row = connection.execute(
            sa.text("SELECT run_id, last_state, rows, revision, age_hours FROM night_status")
        ).one()
    assert row[:4] == (run.run_id, "published", 100, 1)
    assert row.age_hours > 6 * 365 * 24


def night_status(publisher: Publisher, as_of: date) -> sa.RowMapping:
    with publisher.engine.connect() as connection:
        query = sa.text("SELECT * FROM night_status WHERE as_of = :as_of")
        return connection.execute(query, {"as_of": as_of.isoformat()}).mappings().one()


@pytest.mark.parametrize("state", ["failed", "rejected"])
def test_a_night_that_failed_before_its_claim_says_so_and_what_readers_see_meanwhile(
    publisher: Publisher, state: str
) -> None:
    run = published(publisher, FIRST)
    publisher.record_failure(SECOND, "12 % of the bills are null", state)
    tonight = night_status(publisher, D2)
    assert (tonight["last_state"], tonight["reason"]) == (state, "12 % of the bills are null")
    assert (tonight["run_id"], _date(tonight["shown_as_of"])) == (None, D1)
    assert 0 <= tonight["shown_age_hours"] < 0.1
    assert tonight["last_at"] is not None
    assert night_status(publisher, D1)["last_state"] == "published"
    assert seen(publisher) == {(D1, run.run_id, 100)}
    assert published(publisher, SECOND).fence > run.fence + 1
    assert night_status(publisher, D2)["last_state"] == "published"


def test_a_failure_of_a_night_that_is_under_way_takes_it_from_nobody(publisher: Publisher) -> None:
    claim = claimed(publisher, FIRST)
    publisher.record_failure(FIRST, "the source does not answer")
    assert night_status(publisher, D1)["last_run"] == claim.run_id
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)
    assert publisher.publish(claim).revision == 1


@pytest.mark.parametrize(("minutes", "stale"), [(-1, True), (1, False)])
def test_the_newest_night_is_stale_once_the_next_one_is_due(publisher: Publisher, minutes: int, stale: bool) -> None:
    due = datetime.now(UTC) + timedelta(minutes=minutes)
    as_of = due.date() - timedelta(days=1)
    published(replace(publisher, due=Due(due.time(), UTC)), replace(FIRST, as_of=as_of))
    with publisher.engine.connect() as connection:
        assert {bool(row.stale) for row in connection.execute(sa.text("SELECT stale FROM score_current"))} == {stale}
    assert bool(night_status(publisher, as_of)["stale"]) is stale


def test_when_the_next_night_is_due_goes_by_the_clock_of_the_business(settings: Settings) -> None:
    publisher = open_publisher(replace(settings, zone=ZoneInfo("America/Los_Angeles"), due=time_of_day(7, 30)))
    published(publisher, FIRST)
    with publisher.engine.connect() as connection:
        behind_from = connection.scalar(sa.select(publication_table.c.behind_from))
    assert behind_from == datetime.fromisoformat("2026-01-02T15:30")


@pytest.mark.parametrize(("days", "stale"), [(0, False), (3, True)])
def test_a_run_of_a_release_that_wrote_down_no_such_moment_is_stale_from_the_next_morning(
    publisher: Publisher, days: int, stale: bool
) -> None:
    as_of = datetime.now(UTC).date() - timedelta(days=days)
    published(publisher, replace(FIRST, as_of=as_of))
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("UPDATE publication SET behind_from = NULL"))
    assert bool(night_status(publisher, as_of)["stale"]) is stale


def test_every_revision_of_a_night_can_be_read_and_says_whether_it_is_the_one_that_others_see(
    publisher: Publisher,
) -> None:
    one, two, other = published(publisher, FIRST), published(publisher, FIRST, "later"), published(publisher, SECOND)
    claimed(publisher, SECOND, "never shown")
    revisions = sa.text("SELECT run_id, revision, shown, count(*) FROM score_revisions GROUP BY 1, 2, 3 ORDER BY 1")
    with publisher.engine.connect() as connection:
        found = [
            (run_id, revision, bool(shown), rows) for run_id, revision, shown, rows in connection.execute(revisions)
        ]
    assert found == [(one.run_id, 1, False, 100), (two.run_id, 2, True, 100), (other.run_id, 1, True, 100)]


def test_a_claim_is_kept_for_as_long_as_somebody_works_under_it(publisher: Publisher) -> None:
    lease, beat = timedelta(seconds=0.6), timedelta(seconds=0.1)
    claim = claimed(publisher, FIRST, lease=lease)
    with publisher.keeping(claim, lease=lease, beat=beat) as kept:
        time.sleep(1.2)
        kept.check()
        with pytest.raises(AlreadyRunning):
            publisher.claim(FIRST, made_of("k"))
    time.sleep(0.8)
    assert claimed(publisher, FIRST).fence > claim.fence


def test_a_claim_that_is_lost_while_somebody_works_is_told_at_the_next_look_and_at_the_end(
    publisher: Publisher,
) -> None:
    claim = claimed(publisher, FIRST)

    def work() -> None:
        with publisher.keeping(claim, beat=timedelta(seconds=0.05)) as kept:
            publisher.release(claim, "somebody ended it")
            assert kept.gone.wait(10)
            with pytest.raises(Fenced):
                kept.check()

    with pytest.raises(Fenced):
        work()
    with pytest.raises(Fenced), publisher.keeping(claim):
        pytest.fail("nobody works under a lost claim")


def test_a_claim_that_was_used_is_not_lost_for_whoever_tidies_up_behind_it(publisher: Publisher) -> None:
    claim = claimed(publisher, FIRST)
    write(publisher, claim)
    with publisher.keeping(claim, beat=timedelta(seconds=0.05)) as kept:
        publisher.seal(claim)
        publisher.load(claim)
        run = publisher.publish(claim)
        assert kept.ended.wait(10)
    assert publisher.current("telco", "scores") == run


def test_what_fails_after_the_publication_fails_with_its_own_error(publisher: Publisher) -> None:
    claim = claimed(publisher, SECOND)
    write(publisher, claim)
    publisher.seal(claim)
    publisher.load(claim)

    def work() -> None:
        with publisher.keeping(claim):
            publisher.publish(claim)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert seen(publisher) == {(D2, claim.run_id, 100)}


def test_work_that_fails_under_a_claim_fails_with_its_own_error(publisher: Publisher) -> None:
    with pytest.raises(ZeroDivisionError), publisher.keeping(claimed(publisher, FIRST)):
        raise ZeroDivisionError


def test_one_base_more_than_the_views_can_show_is_refused_before_it_is_scored(publisher: Publisher) -> None:
    for number in range(MOST_BASES):
        published(publisher, replace(FIRST, contract=f"base{number}"))
    assert len(seen(publisher)) == MOST_BASES
    claimed(publisher, replace(SECOND, contract="base0"))
    with pytest.raises(PublicationError, match="the current views show 8 bases already"):
        publisher.claim(replace(FIRST, contract="one_more"), made_of("k"))


@pytest.mark.parametrize("again", ["claim", "publish", "open"])
def test_the_file_pointer_follows_the_database_after_a_death_between_the_two(
    publisher: Publisher, settings: Settings, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    old = published(publisher, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "reconcile", lambda *_: False)
        new = published(publisher, SECOND)
    assert seen(publisher) == {(D2, new.run_id, 100)}
    assert current_folder(publisher.lake, "telco", "scores") == old.folder
    if again == "claim":
        assert publisher.claim(SECOND, made_of("k")) == new
    elif again == "open":
        open_publisher(replace(settings, database_url=publisher.engine.url.render_as_string(hide_password=False)))
    else:
        assert publisher.publish(Claim(SECOND, new.run_id, new.fence, new.content_key)) == new
    assert current_folder(publisher.lake, "telco", "scores") == new.folder
    assert not publisher.reconcile("telco", "scores")


def test_a_file_reader_refuses_a_manifest_that_was_changed(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    with (run.folder / lake.MANIFEST).open("a") as file:
        file.write(" ")
    with pytest.raises(AuditFailed, match="not the one that was published"):
        current_folder(publisher.lake, "telco", "scores")


def test_a_reader_only_ever_sees_whole_nights_of_one_run(publisher: Publisher) -> None:
    published(publisher, FIRST, "0", probability=0.0)
    seen_states, done = [], threading.Event()

    def read() -> None:
        query = sa.text(
            "SELECT count(*), count(DISTINCT run_id), min(probability), max(probability) FROM score_current"
        )
        while not done.is_set():
            with publisher.engine.connect() as connection:
                seen_states.append(tuple(connection.execute(query).one()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for night in range(1, 6):
            published(publisher, replace(FIRST, as_of=D1 + timedelta(days=night)), str(night), night / 10)
    finally:
        done.set()
        reader.join()
    assert len(set(seen_states)) > 1
    assert {state[:2] for state in seen_states} == {(100, 1)}
    assert all(lowest == highest for _, _, lowest, highest in seen_states)


def test_what_was_published_from_the_same_extract_on_an_earlier_date_is_known(publisher: Publisher) -> None:
    published(publisher, FIRST)
    later = replace(FIRST, as_of=FIRST.as_of + timedelta(days=1))
    assert publisher.earlier_from(later, "extract k") == FIRST.as_of
    assert publisher.earlier_from(later, "extract of another source") is None
    assert publisher.earlier_from(FIRST, "extract k") is None


def test_the_newest_night_before_a_date_is_the_one_to_compare_a_backfill_with(publisher: Publisher) -> None:
    first, second = published(publisher, FIRST), published(publisher, SECOND)
    again = published(publisher, SECOND, "second delivery")
    before = [publisher.newest_before("telco", "scores", D1 + timedelta(days=days)) for days in range(4)]
    assert before == [None, first, again, again]
    assert again.revision == second.revision + 1
    assert publisher.newest_before("telco", "outreach", D2) is None
    assert publisher.newest_before("iranian", "scores", D2) is None


@pytest.mark.parametrize("url", AWAY)
def test_a_database_that_is_away_is_named_without_its_password(url: str, settings: Settings) -> None:
    settings.data.mkdir(exist_ok=True)
    with pytest.raises(StoreUnreachable, match="does not answer") as caught:
        open_publisher(replace(settings, database_url=url.format(folder=settings.data)))
    assert "CHURN_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in "".join(format_exception(caught.value))


@pytest.mark.postgres
@pytest.mark.parametrize("moment", ["before the file is replaced", "while it is replaced"])
def test_one_who_stood_still_before_the_file_pointer_leaves_that_of_a_younger_run(
    postgres_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    slow, quick = (open_publisher(replace(settings, database_url=postgres_url)) for _ in range(2))
    younger: list[Published] = []

    def stand_still(*_: object) -> None:
        """The database ends the transaction, as it does with whoever stands still, and another run publishes."""
        monkeypatch.undo()
        with quick.engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
        younger.append(published(quick, SECOND))

    def sync(path: Path) -> None:
        stand_still() if path.name.startswith(f".{CURRENT}") else None

    if moment == "while it is replaced":
        monkeypatch.setattr(lake, "sync", sync)
    else:
        monkeypatch.setattr(publication, "reached", lambda point: point == "pointing" and stand_still())
    published(slow, FIRST)
    assert current_folder(slow.lake, "telco", "scores") == younger[0].folder
    for publisher in (slow, quick):
        publisher.engine.dispose()


def sealed(publisher: Publisher, key: str, probability: float, *, force: bool = False) -> Claim:
    claim = publisher.claim(FIRST, made_of(key), force=force)
    assert isinstance(claim, Claim)
    write(publisher, claim, probability=probability)
    publisher.seal(claim)
    return claim


def test_other_code_that_comes_to_the_same_rows_makes_no_revision(publisher: Publisher) -> None:
    shown = published(publisher, FIRST, "old code", probability=0.5)
    before = files_of(publisher)
    claim = sealed(publisher, "new code", probability=0.5)
    assert publisher.already_shown(claim) == shown
    assert state_of(publisher, claim.run_id) == (
        "abandoned",
        f"run {shown.run_id}, which readers see, has the same rows",
    )
    assert files_of(publisher) == before
    assert publisher.already_shown(sealed(publisher, "newer code", probability=0.6)) is None


def test_by_force_the_same_rows_make_a_revision(publisher: Publisher) -> None:
    published(publisher, FIRST)
    claim = sealed(publisher, "k", probability=0.5, force=True)
    assert publisher.already_shown(claim) is None
    publisher.load(claim)
    assert publisher.publish(claim).revision == 2


SPOILT = [
    ("UPDATE scores SET probability = 0", "probability"),
    ("UPDATE scores SET probability = probability + 0.0001 WHERE customer_id = 'C000007'", "probability"),
    ("UPDATE scores SET reason_1_value = NULL WHERE customer_id = 'C000007'", "reason_1_value"),
    ("UPDATE scores SET percentile = percentile - 1 WHERE customer_id = 'C000007'", "percentile"),
    ("UPDATE quarantine SET value = NULL", "value"),
]


@pytest.mark.parametrize(("statement", "column"), SPOILT)
def test_rows_whose_values_were_changed_after_they_were_loaded_are_not_shown(
    publisher: Publisher, statement: str, column: str
) -> None:
    claim = sealed(publisher, "k", probability=0.5)
    publisher.load(claim)
    with publisher.engine.begin() as connection:
        assert connection.execute(sa.text(statement)).rowcount
    with pytest.raises(AuditFailed, match=f"has other values of {column} than the files"):
        publisher.publish(claim)
    assert seen(publisher) == set()
