"""What the retention policy keeps no longer goes with all its rows and files; readers of the rest see no change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from churn.errors import PolicyError, PublicationError
from schemas.retention import Retention
from store.claims import Claim, Content, Unit
from store.clearing import cleared, remove
from store.decisions import decision_of
from store.handovers import hand_over
from store.interventions import record
from store.lake import describe, differences, read_manifest, write_manifest, write_parquet
from store.publication import Published, Publisher, content_key, open_publisher
from store.retention import read_retention, what_goes
from store.settings import Settings
from store.tables import TABLES_OF, publication
from store.verification import verified
from tests.contacts import contact
from tests.store.small_runs import publish

FIRST, SECOND, THIRD, FOURTH = (date(2026, 1, day) for day in (1, 2, 3, 4))
LONG_AGO = timedelta(days=100)
FEW = 4  # customers
RULES = read_retention().model_copy(update={"nights": 1, "list_nights": 1, "month_ends": 0, "sent_days": 4_000})


@pytest.fixture
def settings_of_it(database_with_tables: str, settings: Settings) -> Settings:
    return replace(settings, database_url=database_with_tables)


@pytest.fixture
def publisher(settings_of_it: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(settings_of_it)
    yield publisher
    publisher.engine.dispose()


@pytest.fixture
def embedded(settings: Settings) -> Publisher:
    """A publisher on SQLite, for what does not depend on the database."""
    return open_publisher(settings)


def published_long_ago(publisher: Publisher, as_of: date, **facts: Any) -> Published:
    """A run that was published more than any grace before now."""
    run = publish(publisher, as_of, customers=FEW, **facts)
    moment = {"then": run.published_at - LONG_AGO, "run": run.run_id}
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("UPDATE publication SET published_at = :then WHERE run_id = :run"), moment)
    return run


def clear(publisher: Publisher, retention: Retention = RULES) -> list[str]:
    """What was said to be gone, at once or as soon as the grace had passed since readers lost sight of it."""
    at_once = gone(publisher, retention)
    let_the_grace_pass(publisher)
    return [*at_once, *gone(publisher, retention)]


def gone(publisher: Publisher, retention: Retention = RULES) -> list[str]:
    return [going.what.rpartition(", run ")[0] or going.what for going, gone in cleared(publisher, retention) if gone]


def let_the_grace_pass(publisher: Publisher) -> None:
    with publisher.engine.begin() as connection:
        retired = sa.update(publication).where(publication.c.retired_at.is_not(None))
        connection.execute(retired.values(retired_at=datetime.fromisoformat("2026-01-01T00:00")))


def rows_of(publisher: Publisher, run: Published) -> int:
    with publisher.engine.connect() as connection:
        tables = TABLES_OF[run.unit.kind]
        return sum(connection.scalar(sa.select(sa.func.count()).where(t.c.fence == run.fence)) or 0 for t in tables)


def asked(publisher: Publisher, query: str) -> list[tuple[Any, ...]]:
    with publisher.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def grown_old(path: Path) -> Path:
    """A file or folder that was last written long ago."""
    then = datetime.now().timestamp() - LONG_AGO.total_seconds()  # noqa: DTZ005 - seconds since the epoch have no zone
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then))
    return path


def test_of_a_night_that_goes_no_row_and_no_file_is_left_and_its_end_is_on_record(publisher: Publisher) -> None:
    old, new = published_long_ago(publisher, FIRST), published_long_ago(publisher, SECOND)
    before = asked(publisher, "SELECT * FROM scores WHERE as_of = '2026-01-02' ORDER BY customer_id")
    assert rows_of(publisher, old) == FEW + 3

    assert gone(publisher) == []
    let_the_grace_pass(publisher)
    [(going, went)] = cleared(publisher, RULES)
    assert (going.run_id, going.rows, went) == (old.run_id, FEW + 3, True)
    assert going.bytes > 1_000
    assert rows_of(publisher, old) == 0
    assert not old.folder.parent.exists()
    assert list(publisher.lake.staging.iterdir()) == []
    assert asked(publisher, "SELECT as_of, run_id, revision FROM night_status ORDER BY as_of")[0][1:] == (None, None)
    [(reason,)] = asked(publisher, f"SELECT reason FROM publication WHERE run_id = '{old.run_id}'")
    assert reason == "kept no longer: 2026-01-01 is none of the nights that are kept"

    assert asked(publisher, "SELECT * FROM scores WHERE as_of = '2026-01-02' ORDER BY customer_id") == before
    assert [(run.run_id, found) for run, found in verified(publisher)] == [(new.run_id, ())]
    assert clear(publisher) == []


def test_who_has_a_run_open_that_is_kept_no_longer_keeps_it_for_the_grace(publisher: Publisher) -> None:
    old, _ = published_long_ago(publisher, FIRST), published_long_ago(publisher, SECOND)
    assert (gone(publisher), gone(publisher)) == ([], [])
    assert asked(publisher, "SELECT count(*) FROM score_history WHERE as_of = '2026-01-01'") == [(0,)]
    assert (rows_of(publisher, old), differences(read_manifest(old.folder), old.folder)) == (FEW + 3, [])
    let_the_grace_pass(publisher)
    assert gone(publisher) == ["scores of telco as of 2026-01-01, revision 1"]


def test_a_dry_run_removes_nothing(embedded: Publisher) -> None:
    published_long_ago(embedded, FIRST)
    published_long_ago(embedded, SECOND)
    before = [asked(embedded, "SELECT * FROM publication"), sorted(embedded.lake.root.rglob("*"))]
    assert [went for _, went in cleared(embedded, RULES, dry_run=True)] == [False]
    assert [asked(embedded, "SELECT * FROM publication"), sorted(embedded.lake.root.rglob("*"))] == before


def test_a_night_that_went_may_be_scored_again_and_goes_on_counting(embedded: Publisher) -> None:
    published_long_ago(embedded, FIRST)
    published_long_ago(embedded, SECOND)
    assert clear(embedded) == ["scores of telco as of 2026-01-01, revision 1"]
    assert publish(embedded, FIRST, customers=FEW).revision == 2


@pytest.mark.parametrize("left", ["rows and files", "files"])
def test_what_was_cut_short_is_finished_the_next_time(embedded: Publisher, tmp_path: Path, left: str) -> None:
    old, _ = published_long_ago(embedded, FIRST), published_long_ago(embedded, SECOND)
    if left == "files":
        copy = shutil.copytree(old.folder, tmp_path / "copy")
        clear(embedded)
        shutil.copytree(copy, old.folder)
    else:
        with embedded.engine.begin() as connection:
            connection.execute(sa.text("UPDATE publication SET folder = NULL WHERE fence = 1"))
            connection.execute(sa.text("DELETE FROM night_pointer WHERE fence = 1"))
    [(going, went)] = cleared(embedded, RULES)
    assert (going.run_id, going.why, went) == (old.run_id, "readers lost sight of it before", True)
    assert (rows_of(embedded, old), old.folder.exists()) == (0, False)
    assert clear(embedded) == []


def test_a_night_at_which_somebody_works_is_left_alone(embedded: Publisher) -> None:
    published_long_ago(embedded, FIRST)
    published_long_ago(embedded, SECOND)
    night = Unit("telco", "scores", FIRST, datetime.combine(FIRST, datetime.min.time()))
    claim = embedded.claim(night, Content(content_key("another"), "e"))
    assert isinstance(claim, Claim)
    assert clear(embedded) == []
    embedded.release(claim, "for the test")
    assert clear(embedded) == ["scores of telco as of 2026-01-01, revision 1"]


def test_a_night_whose_run_died_is_not_one_at_which_somebody_works(embedded: Publisher) -> None:
    published_long_ago(embedded, FIRST)
    published_long_ago(embedded, SECOND)
    night = Unit("telco", "scores", FIRST, datetime.combine(FIRST, datetime.min.time()))
    claim = embedded.claim(night, Content(content_key("another"), "e"))
    assert isinstance(claim, Claim)
    embedded.renew(claim, -timedelta(hours=1))
    assert [going.what.rpartition(", run ")[0] for going in what_goes(embedded, RULES)] == [
        "scores of telco as of 2026-01-01, revision 1"
    ]


def test_a_run_that_became_current_meanwhile_stays(embedded: Publisher) -> None:
    old, _ = published_long_ago(embedded, FIRST), published_long_ago(embedded, SECOND)
    [going] = what_goes(embedded, RULES)
    with embedded.engine.begin() as connection:
        connection.execute(sa.text("UPDATE current_pointer SET run_id = :run"), {"run": old.run_id})
    assert not remove(embedded, going)
    assert asked(embedded, f"SELECT folder IS NULL, retired_at FROM publication WHERE fence = {old.fence}") == [
        (0, None)
    ]
    assert (rows_of(embedded, old), old.folder.is_dir()) == (FEW + 3, True)


CONTACT = contact(THIRD)


@pytest.mark.parametrize("how", ["handed over", "written back of"])
def test_a_list_that_was_sent_stays_with_all_that_its_receipts_ask_for(
    settings: Settings, embedded: Publisher, how: str
) -> None:
    for night in (FIRST, SECOND, THIRD, FOURTH):
        published_long_ago(embedded, night)
        grown_old(snapshot_of(embedded, night))
        listed = published_long_ago(embedded, night, kind="outreach")
        if how == "handed over" and night == THIRD:
            hand_over(embedded.engine, listed.unit, listed.run_id)
    if how == "written back of":
        record(settings, [CONTACT])
    assert clear(embedded) == [
        "snapshot telco/as_of=2026-01-01/20260101T000000-dddddddddddddddd",
        "snapshot telco/as_of=2026-01-02/20260102T000000-dddddddddddddddd",
        "scores of telco as of 2026-01-01, revision 1",
        "outreach of telco as of 2026-01-01, revision 1",
        "scores of telco as of 2026-01-02, revision 1",  # but its list stays, at which the third night's looked back
    ]
    third = decision_of(embedded, "telco", THIRD)
    assert (third.of_list, third.before_gone, third.snapshot is not None) == (True, False, True)


def test_a_list_that_was_sent_longer_ago_than_such_lists_are_kept_goes_and_none_takes_its_place(
    embedded: Publisher,
) -> None:
    for night in (FIRST, SECOND):
        listed = published_long_ago(embedded, night, kind="outreach")
        hand_over(embedded.engine, listed.unit, listed.run_id)
    assert clear(embedded) == []
    briefly = RULES.model_copy(update={"sent_days": 30})
    assert clear(embedded, briefly) == ["outreach of telco as of 2026-01-01, revision 1"]
    with pytest.raises(PublicationError, match="it was sent"):
        publish(embedded, FIRST, kind="outreach", key="anew")


def snapshot_of(publisher: Publisher, as_of: date) -> Path:
    """A snapshot of the facts that the small runs are made of."""
    folder = publisher.lake.snapshot("telco", as_of, datetime.combine(as_of, datetime.min.time()), "d" * 64)
    write_parquet(pa.table({"customer_id": ["C00000"]}), folder / "bucket=00.parquet")
    write_manifest(describe(folder, {"extract": "e"}), folder)
    return folder


def test_what_runs_were_made_from_goes_by_age_but_for_each_newest_extract_and_those_in_use(embedded: Publisher) -> None:
    lake = embedded.lake
    used, newest, other = ("a" * 64, "b" * 64, "c" * 64)
    for digest in (used, other, newest):
        filled(lake.extract("telco", digest))
    filled(lake.extract("iranian", used))
    filled(lake.root / "snapshots" / "telco" / "as_of=2026-01-01" / "then")
    grown_old(lake.root)
    filled(lake.root / "snapshots" / "telco" / "as_of=2026-01-01" / "then-lessons")
    (lake.extract("telco", newest) / "rows.parquet").touch()
    night = Unit("telco", "scores", FIRST, datetime.combine(FIRST, datetime.min.time()))
    embedded.claim(night, Content(content_key("k"), used))
    assert clear(embedded) == ["extract telco/cccccccccccccccc", "snapshot telco/as_of=2026-01-01/then"]
    assert not lake.extract("telco", other).exists()


def test_a_folder_that_is_odd_is_passed_by(embedded: Publisher) -> None:
    publish(embedded, FIRST, customers=FEW)
    publish(embedded, FIRST, kind="outreach", customers=FEW)
    (embedded.lake.root / "extracts" / "telco").mkdir(parents=True)
    (snapshot_of(embedded, FIRST) / "manifest.json").write_text('{"files": [')
    assert gone(embedded) == []
    assert decision_of(embedded, "telco", FIRST).snapshot is None


def test_what_nobody_finished_goes_and_what_somebody_writes_stays(embedded: Publisher) -> None:
    staging = embedded.lake.staging
    grown_old(filled(staging / "extract-dead"))
    filled(staging / "extract-alive")
    night = Unit("telco", "scores", FIRST, datetime.combine(FIRST, datetime.min.time()))
    claim = embedded.claim(night, Content(content_key("k"), "e"))
    assert isinstance(claim, Claim)
    grown_old(embedded.stage(claim))
    grown_old(embedded.drafts(claim))
    assert clear(embedded) == ["leftover extract-dead"]
    assert {path.name for path in staging.iterdir()} == {"extract-alive", claim.run_id, f"{claim.run_id}-drafts"}


def filled(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "rows.parquet").write_bytes(b"x" * 1_000)
    return folder


@pytest.mark.postgres
def test_rows_that_a_reader_holds_go_the_next_time(postgres_url: str, settings: Settings) -> None:
    publisher = open_publisher(replace(settings, database_url=postgres_url))
    old, _ = published_long_ago(publisher, FIRST), published_long_ago(publisher, SECOND)
    with publisher.engine.connect() as reader:
        assert reader.scalar(sa.text("SELECT count(*) FROM score_history")) == 2 * FEW
        assert clear(publisher) == []
        assert reader.scalar(sa.text(f"SELECT count(*) FROM scores WHERE fence = {old.fence}")) == FEW
    assert clear(publisher) == ["scores of telco as of 2026-01-01, revision 1"]
    assert rows_of(publisher, old) == 0
    publisher.engine.dispose()


def test_a_policy_that_is_not_there_is_refused() -> None:
    with pytest.raises(PolicyError, match="nobody: cannot be read"):
        read_retention("nobody")


def test_what_was_known_of_who_was_in_a_wave_goes_when_sent_lists_do_and_who_it_was_stays(
    embedded: Publisher,
) -> None:
    days = (date.today() - timedelta(days=RULES.sent_days + more) for more in (1, -1))  # noqa: DTZ011 - a day or two
    for as_of in days:
        for name in ("run.parquet", "run-customers.parquet"):
            path = embedded.lake.root / "waves" / "telco" / f"as_of={as_of}" / name
            write_parquet(pa.table({"customer_id": ["C1"]}), path)
    assert [what for what in gone(embedded) if "wave" in what] == [f"customers of a wave telco/{oldest_wave(embedded)}"]
    left = sorted(path.name for path in embedded.lake.root.glob("waves/telco/*/*"))
    assert left == ["run-customers.parquet", "run.parquet", "run.parquet"]


def oldest_wave(publisher: Publisher) -> str:
    return min(path.name for path in publisher.lake.root.glob("waves/telco/*"))
