"""`churn verify`, `take-back` and `gc` as an operator meets them."""

from __future__ import annotations

import json
import secrets
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import lake
from store.publication import Published, Publisher, open_publisher
from store.retention import read_retention
from store.roles import ROLES
from store.settings import read_settings
from store.tables import engine_for
from store.verification import missing_views
from tests.command import churn, churn_here
from tests.store.small_runs import publish

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return open_publisher(read_settings({"CHURN_HOME": str(tmp_path)}))


def test_what_differs_is_named_and_mended_and_the_rest_is_left_alone(tmp_path: Path, publisher: Publisher) -> None:
    one, other = publish(publisher, FIRST), publish(publisher, SECOND)
    (one.folder / "scores" / "bucket=00.parquet").write_bytes(b"not Parquet")
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM scores WHERE fence = :fence"), {"fence": other.fence})

    done = churn("verify", home=tmp_path)
    assert done.returncode == 9
    assert done.stdout.splitlines() == [
        f"differs      {named(one)}: file scores/bucket=00.parquet is missing or has other bytes",
        f"differs      {named(other)}: table scores holds 0 rows and the manifest 40",
    ]
    assert "AuditFailed 2 of 2 published runs are not as they were published" in done.stderr

    done = churn_here("verify", "--rebuild", "files", home=tmp_path)
    assert done.returncode == 9
    assert done.stdout.splitlines() == [
        f"rebuilt      {named(one)}: file scores/bucket=00.parquet",
        as_published(one),
        f"differs      {named(other)}: table scores holds 0 rows and the manifest 40",
    ]
    done = churn_here("verify", "--rebuild", "tables", home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        as_published(one),
        f"rebuilt      {named(other)}: table scores",
        f"rebuilt      {named(other)}: table quarantine",
        as_published(other),
        "2 published runs, each as it was published.",
    ]


def test_views_that_are_gone_and_a_changed_extract_are_told_and_views_are_made_again(
    tmp_path: Path, publisher: Publisher
) -> None:
    run, extract = publish(publisher, FIRST), publisher.lake.extract("telco", "e" * 64)
    extract.mkdir(parents=True)
    lake.copy_file(run.folder / "scores" / "bucket=00.parquet", extract / "customers.parquet")
    lake.write_manifest(lake.describe(extract, {}), extract)
    whole = (extract / "customers.parquet").read_bytes()
    (extract / "customers.parquet").write_bytes(whole[:-1])
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW score_current"))

    done = churn_here("verify", home=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (
        9,
        [as_published(run), "differs      extracts/telco/eeeeeeeeeeeeeeee: customers.parquet"],
    )
    assert "views that are missing: score_current; extracts and snapshots that are not as they were written: 1" in (
        done.stderr
    )

    (extract / "customers.parquet").write_bytes(whole)
    done = churn_here("verify", "--rebuild", "files", home=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [as_published(run), "rebuilt      the views score_current", "1 published runs, each as it was published."],
    )
    assert missing_views(publisher) == []


def test_a_night_is_taken_back_to_an_earlier_run(tmp_path: Path, publisher: Publisher) -> None:
    one, other = publish(publisher, FIRST, key="a"), publish(publisher, FIRST, key="b", customers=50)
    done = churn_here("take-back", one.run_id, home=tmp_path)
    assert done.returncode == 0
    back = publisher.current("telco", "scores")
    assert back is not None
    assert (back.rows, back.revision, back.run_id in (one.run_id, other.run_id)) == (40, 3, False)
    assert f"readers see the rows of run {one.run_id}, revision 3, run {back.run_id}" in done.stdout

    done = churn_here("take-back", "000009-none", home=tmp_path)
    assert done.returncode == 9
    assert "run 000009-none: no such run is kept" in done.stderr


def test_what_goes_is_told_first_and_then_done(tmp_path: Path, publisher: Publisher) -> None:
    one, other = publish(publisher, FIRST), publish(publisher, SECOND)
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("UPDATE publication SET published_at = '2026-01-02 05:00:00.000000'"))
    short = read_retention().model_copy(update={"name": "short", "nights": 1, "month_ends": 0})
    (tmp_path / "short.yaml").write_text(json.dumps(short.model_dump()))  # JSON is YAML

    done = churn_here("gc", "--dry-run", "--retention", "short.yaml", home=tmp_path)
    first, last, later = done.stdout.splitlines()
    assert first.startswith(f"would go {named(one)}: 2026-01-01 is none of the nights that are kept; 0.")
    assert (first[-7:], last) == ("43 rows", f"This would free {first.rpartition('; ')[2]}, by the policy short 1.1.0.")
    assert later.startswith("What readers saw until now goes the next time from 24 hours on")
    assert one.folder.is_dir()

    done = churn_here("gc", "--retention", "short.yaml", home=tmp_path)
    assert done.stdout.startswith(f"retired  {first.removeprefix('would go ')}\nFreed 0.0 MB, by the policy")
    assert one.folder.is_dir()
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("UPDATE publication SET retired_at = '2026-01-02 05:00:00' WHERE fence = 1"))

    done = churn_here("gc", "--retention", "short.yaml", home=tmp_path)
    assert done.stdout.startswith(f"gone     {named(one)}: readers lost sight of it before; 0.")
    assert done.stdout.splitlines()[1:] == [last.replace("This would free", "Freed")]
    assert (one.folder.is_dir(), other.folder.is_dir(), done.returncode) == (False, True, 0)


def as_published(run: Published) -> str:
    return f"as published {named(run)}"


def named(run: Published) -> str:
    return f"scores of telco as of {run.unit.as_of}, revision {run.revision}, run {run.run_id}"


@pytest.mark.postgres
def test_roles_are_made_with_their_rights_and_may_be_made_again(tmp_path: Path, postgres_url: str) -> None:
    prefix, engine = f"churn{secrets.token_hex(4)}", engine_for(postgres_url)
    try:
        for _ in range(2):
            done = churn_here("storage", "grant", "--prefix", prefix, home=tmp_path, CHURN_DATABASE_URL=postgres_url)
            assert (done.returncode, done.stdout.splitlines()) == (
                0,
                [f"{role:9}  GRANT {prefix}_{role} TO ..." for role in ROLES],
            )
        with engine.connect() as connection:
            may = "SELECT has_table_privilege(:role, 'score_current', 'SELECT')"
            told = {role: connection.scalar(sa.text(may), {"role": f"{prefix}_{role}"}) for role in ROLES}
        assert told == {"loader": False, "publisher": False, "reader": True, "auditor": False, "service": True}
    finally:
        with engine.begin() as connection:
            for role in ROLES:
                connection.exec_driver_sql(f"DROP OWNED BY {prefix}_{role}")
                connection.exec_driver_sql(f"DROP ROLE {prefix}_{role}")


def test_a_database_without_roles_says_so(tmp_path: Path) -> None:
    done = churn_here("storage", "grant", home=tmp_path)
    assert (done.returncode, "SQLite has no roles" in done.stderr) == (3, True)
