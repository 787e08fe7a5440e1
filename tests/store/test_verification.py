"""A copy that is not as it was published is named, and rebuilt from the other one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from churn.errors import AuditFailed
from store import lake
from store.partitions import forget_rows
from store.publication import CURRENT, Publisher, open_publisher
from store.rebuilding import rebuild_files, rebuild_side, rebuild_tables, rebuild_views
from store.runs import Run, published_runs
from store.settings import Settings, read_settings
from store.tables import TABLES_OF
from store.verification import (
    SCHEMAS,
    Side,
    damaged_workings,
    digest_of,
    file_rows,
    missing_views,
    table_rows,
    verified,
    verify_run,
)
from tests import postgres_server
from tests.store.small_runs import BUCKETS, publish

D1, D2 = date(2026, 1, 1), date(2026, 1, 2)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """Two nights of scores and two lists."""
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        env = {"CHURN_HOME": str(home)}
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server_url")
            env["CHURN_DATABASE_URL"] = stack.enter_context(postgres_server.database(server))
        publisher = open_publisher(read_settings(env))
        for kind in ("scores", "outreach"):
            publish(publisher, D1, kind=kind)
            publish(publisher, D2, kind=kind)
        yield publisher


@pytest.fixture(scope="module", autouse=True)
def one_duck() -> Iterator[None]:
    """To open a DuckDB takes 16 ms, and each look at all copies opens forty; here one serves for all."""
    with lake.duck() as connection, pytest.MonkeyPatch.context() as here:
        here.setattr("store.verification.duck", connection.cursor)
        yield


@pytest.fixture
def publisher(published: Publisher) -> Iterator[Publisher]:
    """The published nights, which each test leaves as it found them: whatever it broke, it must have mended."""
    yield published
    assert told(published) == []


def newest(publisher: Publisher, kind: str = "scores") -> Run:
    return [run for run in published_runs(publisher) if run.unit.kind == kind][-1]


def told(publisher: Publisher) -> list[tuple[str, Side, str, str]]:
    found = [difference for _, differences in verified(publisher) for difference in differences]
    return [(one.run.unit.kind, one.side, one.where, one.what) for one in found]


def execute(publisher: Publisher, statement: str) -> None:
    with publisher.engine.begin() as connection:
        assert connection.execute(sa.text(statement)).rowcount == 1


def flip_a_byte(run: Run) -> None:
    with (run.folder / "scores" / "bucket=01.parquet").open("r+b") as file:
        file.seek(60)
        byte = file.read(1)
        file.seek(60)
        file.write(bytes([byte[0] ^ 1]))


def cut_a_file(run: Run) -> None:
    path = run.folder / "scores" / "bucket=01.parquet"
    path.write_bytes(path.read_bytes()[:-9])


def lose_a_file(run: Run) -> None:
    (run.folder / "scores" / "bucket=01.parquet").unlink()


def test_what_is_as_it_was_published_differs_in_nothing(publisher: Publisher) -> None:
    assert [differences for _, differences in verified(publisher)] == [(), (), (), ()]
    assert [run.unit.as_of for run, _ in verified(publisher, "telco")] == [D1, D2, D1, D2]
    assert list(verified(publisher, "iranian")) == []


@pytest.mark.parametrize("damage", [flip_a_byte, cut_a_file, lose_a_file])
def test_a_damaged_file_is_named_and_restored_to_the_byte_from_the_table(
    publisher: Publisher, damage: Callable[[Run], None]
) -> None:
    run = newest(publisher)
    damage(run)
    assert told(publisher) == [("scores", Side.FILES, "file scores/bucket=01.parquet", "is missing or has other bytes")]
    assert rebuild_files(publisher, run, BUCKETS) == ("scores/bucket=01.parquet",)


def test_a_manifest_that_was_touched_is_named_and_restored(publisher: Publisher) -> None:
    run = newest(publisher)
    with (run.folder / lake.MANIFEST).open("a") as file:
        file.write(" ")
    assert told(publisher) == [
        ("scores", Side.FILES, "file manifest.json", "is missing or not the one that was published")
    ]
    assert rebuild_files(publisher, run, BUCKETS) == ("manifest.json",)
    assert told(publisher) == []


@pytest.mark.parametrize("kind", ["scores", "outreach"])
def test_a_folder_that_is_gone_is_restored_from_the_tables_alone(publisher: Publisher, kind: str) -> None:
    run = newest(publisher, kind)
    shutil.rmtree(run.folder)
    assert len(rebuild_files(publisher, run, BUCKETS)) == len(lake.read_manifest(run.folder).files) + 1
    assert told(publisher) == []


def test_a_file_that_was_added_is_named_and_removed(publisher: Publisher) -> None:
    run = newest(publisher)
    shutil.copy(run.folder / "scores" / "bucket=01.parquet", run.folder / "scores" / "more.parquet")
    assert told(publisher) == [("scores", Side.FILES, "file scores/more.parquet", "was added")]
    assert rebuild_files(publisher, run, BUCKETS) == ("scores/more.parquet",)
    assert told(publisher) == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE scores SET probability = 0.25 WHERE customer_id = 'C00007' AND as_of = '2026-01-02'",
            "has other values than the files",
        ),
        (
            "DELETE FROM scores WHERE customer_id = 'C00007' AND as_of = '2026-01-02'",
            "holds 39 rows and the manifest 40",
        ),
    ],
)
def test_changed_rows_are_named_and_restored_from_the_files(publisher: Publisher, statement: str, problem: str) -> None:
    execute(publisher, statement)
    assert told(publisher) == [("scores", Side.TABLES, "table scores", problem)]
    rebuild_tables(publisher, newest(publisher))


def test_rows_that_are_all_gone_are_restored(publisher: Publisher) -> None:
    run = newest(publisher)
    forget_rows(publisher.engine, TABLES_OF["scores"][0], run.fence)  # in PostgreSQL the partition is gone, too
    assert told(publisher) == [("scores", Side.TABLES, "table scores", "holds 0 rows and the manifest 40")]
    assert rebuild_tables(publisher, run) == ("scores", "quarantine")


def test_where_both_copies_are_damaged_neither_is_made_from_the_other(publisher: Publisher) -> None:
    run = newest(publisher)
    flip_a_byte(run)
    execute(publisher, "DELETE FROM scores WHERE customer_id = 'C00007' AND as_of = '2026-01-02'")
    before = snapshot_of(run.folder)
    with pytest.raises(AuditFailed, match="do not give the files"):
        rebuild_files(publisher, run, BUCKETS)
    with pytest.raises(AuditFailed, match="not as they were published"):
        rebuild_tables(publisher, run)
    assert snapshot_of(run.folder) == before
    assert {where for _, _, where, _ in told(publisher)} == {"file scores/bucket=01.parquet", "table scores"}
    flip_a_byte(run)  # back again
    rebuild_tables(publisher, run)


def snapshot_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("text", ["", "{}", '{"folder": "runs/elsewhere", "manifest_sha256": "", "run_id": ""}'])
def test_a_pointer_that_names_another_run_is_told(publisher: Publisher, text: str) -> None:
    (publisher.lake.published("telco", "scores") / CURRENT).write_text(text)
    [(kind, side, where, _)] = told(publisher)
    assert (kind, side, where) == ("scores", Side.POINTER, "file _CURRENT")
    assert publisher.reconcile("telco", "scores")


BROKEN = [
    ("UPDATE current_pointer SET fence = fence + 100 WHERE kind = 'scores'", ["table current_pointer"]),
    ("DELETE FROM current_pointer WHERE kind = 'scores'", ["table current_pointer"]),
    ("UPDATE night_pointer SET fence = 1 WHERE kind = 'scores' AND as_of = '2026-01-02'", ["table night_pointer"]),
    ("DELETE FROM night_pointer WHERE kind = 'scores' AND as_of = '2026-01-02'", ["table night_pointer"]),
]


@pytest.mark.parametrize(("statement", "wrong"), BROKEN)
def test_a_pointer_of_the_database_that_shows_another_run_or_none_is_told_and_mended(
    publisher: Publisher, statement: str, wrong: list[str]
) -> None:
    execute(publisher, statement)
    found = verify_run(publisher, newest(publisher))
    assert [(one.side, one.where) for one in found] == [(Side.POINTER, where) for where in wrong]
    assert list(rebuild_side(publisher, found, Side.FILES, BUCKETS)) == wrong


def test_a_table_is_compared_though_the_manifest_is_damaged(publisher: Publisher) -> None:
    run = newest(publisher)
    whole = (run.folder / lake.MANIFEST).read_bytes()
    (run.folder / lake.MANIFEST).write_bytes(whole + b" ")
    execute(publisher, "UPDATE scores SET probability = 0.25 WHERE customer_id = 'C00007' AND as_of = '2026-01-02'")
    assert {where for _, _, where, _ in told(publisher)} == {"file manifest.json", "table scores"}
    (run.folder / lake.MANIFEST).write_bytes(whole)
    rebuild_tables(publisher, run)


def test_a_run_of_a_release_that_knew_a_column_less_is_as_it_was_published(settings: Settings) -> None:
    publisher = open_publisher(settings)
    publish(publisher, D1)
    run = newest(publisher)
    forget_column(publisher, run, "region")
    run = newest(publisher)
    assert verify_run(publisher, run) == ()
    assert rebuild_tables(publisher, run) == ("scores", "quarantine")
    assert verify_run(publisher, run) == ()


def forget_column(publisher: Publisher, run: Run, column: str) -> None:
    """Leaves the run of scores as a release has left it that did not know the column."""
    for path in (run.folder / "scores").iterdir():
        lake.write_parquet(lake.read_parquet([path]).drop_columns([column]), path)
    facts = lake.read_manifest(run.folder).facts
    (run.folder / lake.MANIFEST).unlink()
    digest = lake.write_manifest(lake.describe(run.folder, facts), run.folder)
    with publisher.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE scores SET {column} = NULL"))
        connection.execute(sa.text("UPDATE publication SET manifest_sha256 = :digest"), {"digest": digest})


def test_a_view_that_is_gone_is_missed_and_made_again(publisher: Publisher) -> None:
    assert missing_views(publisher) == []
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW score_current"))
        connection.execute(sa.text("DROP VIEW alarm_current"))
    assert missing_views(publisher) == ["score_current", "alarm_current"]
    rebuild_views(publisher)
    assert missing_views(publisher) == []


@pytest.mark.parametrize("damage", ["a byte", "a file", "the manifest"])
def test_an_extract_or_a_snapshot_that_was_changed_is_named(publisher: Publisher, damage: str) -> None:
    folder = publisher.lake.root / "snapshots" / "telco" / "as_of=2026-01-02" / "20260102T000000-e"
    lake.write_parquet(lake.read_parquet([next(newest(publisher).folder.glob("scores/*"))]), folder / "a.parquet")
    lake.write_manifest(lake.describe(folder, {}), folder)
    assert list(damaged_workings(publisher)) == []
    if damage == "a byte":
        (folder / "a.parquet").write_bytes(b"x" + (folder / "a.parquet").read_bytes()[1:])
    elif damage == "a file":
        (folder / "a.parquet").unlink()
    else:
        (folder / lake.MANIFEST).write_text("{")
    wrong = lake.MANIFEST if damage == "the manifest" else "a.parquet"
    assert list(damaged_workings(publisher)) == [
        ("snapshots/telco/as_of=2026-01-02/20260102T000000-e", [wrong]),
    ]
    shutil.rmtree(folder)


def test_the_order_of_rows_does_not_matter_and_each_value_does(publisher: Publisher) -> None:
    run = newest(publisher)
    (table, _), schema = TABLES_OF["scores"], SCHEMAS["scores"]
    files = sorted((run.folder / "scores").iterdir())
    kept = digest_of(table_rows(publisher.engine, table, run.fence), schema)
    assert kept == digest_of(file_rows(files, schema), schema) == digest_of(file_rows(files[::-1], schema), schema)
    assert kept.rows == 40
    older = published_runs(publisher)[0]
    assert kept != digest_of(table_rows(publisher.engine, table, older.fence), schema)  # as_of differs


def test_a_run_that_is_not_current_has_no_pointer_to_name(publisher: Publisher) -> None:
    (publisher.lake.published("telco", "scores") / CURRENT).unlink()
    older = published_runs(publisher)[0]
    assert verify_run(publisher, older) == ()
    publisher.reconcile("telco", "scores")
