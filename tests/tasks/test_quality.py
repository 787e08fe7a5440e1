"""Great Expectations in its child process: it counts as SQL does, stops what must stop, and dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas.quarantine
from churn.contract import arrow_schema
from churn.errors import QualityError
from churn.quality import input_checks, output_checks, row_limits, verdict
from churn.quarantine import ROW_RULES, violations_sql
from schemas.quality import QualityReport, Rule, Severity
from schemas.scores import SCORES
from store.lake import duck
from store.settings import Settings, read_settings
from tasks.checks import QUARANTINE, base_size, inspect_scores, inspect_snapshot
from tasks.inspection import REQUEST, Inspector, Request, inspector
from tests.quality_contract import CONTRACT, GOOD, WITH_SURROGATE_KEY, customers, write_bucket


@pytest.fixture(scope="module")
def asked() -> Iterator[Inspector]:
    yield inspector()
    inspector().close()


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return read_settings({"CHURN_HOME": str(tmp_path), "CHURN_CORES": "2"})


def anything(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": anything("C1", "C2", "C3", "C4", "C5", "C6", None),
            "plan": anything("S", "M", "it's L", "XXL", None),
            "region": anything("north", "south", "'", "", None),
            "minutes": anything(0.0, 1.5, 44_640.0, 44_640.5, -1.0, float("nan"), float("inf"), None),
            "trend": anything(0.0, -1e300, float("nan"), float("-inf"), None),
            "tickets": anything(0, 5, -1, None),
            "lines": anything(1, 3, 4, None),
        }
    ),
    max_size=25,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_any_kind)
def test_great_expectations_and_one_pass_of_sql_count_the_same(
    asked: Inspector, tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    file = write_bucket(tmp_path, rows)
    checks = tuple(check for check in input_checks(CONTRACT) if check.rule in ROW_RULES - {Rule.UNIQUE})
    report = asked.check(Request("rows", (file,), checks))
    once = tuple(check for check in checks if check.mostly == 1.0)
    with duck() as connection:
        found = connection.sql(violations_sql(once, key="customer_id", files=[file])).fetchall()
    by_sql = {check.name: sum(row[1:3] == (check.rule, check.column) for row in found) for check in once}
    assert {result.check.name: result.unexpected for result in report.results if result.check in once} == by_sql
    for result in report.results:
        assert result.problem == ""
        assert result.passed == (result.total == 0 or 1 - result.share >= result.check.mostly)


def test_a_good_base_passes_every_check(asked: Inspector, tmp_path: Path, here: Settings) -> None:
    snapshot = tmp_path / "as_of=2026-01-01" / "it's: a moment"  # neither a column nor SQL
    snapshot.mkdir(parents=True)
    write_bucket(snapshot, customers(10), 0)
    write_bucket(snapshot, [GOOD | {"customer_id": "other"}], 1)
    write_bucket(snapshot, [], 2)
    report = inspect_snapshot(snapshot, CONTRACT, here, expected_rows=row_limits(11))
    assert (report.worst, report.rows, report.quarantined) == (None, 11, 0)
    assert pq.read_metadata(snapshot / QUARANTINE).num_rows == 0


def test_a_few_bad_rows_are_set_aside_and_the_night_goes_on(asked: Inspector, tmp_path: Path, here: Settings) -> None:
    bad = GOOD | {"customer_id": "bad", "minutes": -1.0, "region": "west"}
    write_bucket(tmp_path, [*customers(40), bad])
    report = inspect_snapshot(tmp_path, CONTRACT, here)
    verdict(report)
    assert (report.worst, report.quarantined) == (Severity.WARNING, 1)
    assert base_size(tmp_path) == 40
    aside = pq.read_table(tmp_path / QUARANTINE)
    assert aside["key"].to_pylist() == ["bad", "bad"]
    assert aside.schema == arrow_schema(schemas.quarantine.QUARANTINE)


STOPS = [
    ("minutes", customers(40, minutes=120_000.0), "tolerated; for example C0000 (120000.0), C0001 (120000.0)"),
    ("plan", customers(40, plan="NEW"), "tolerated; for example C0000 (NEW), C0001 (NEW)"),
    ("trend", customers(40, trend=None), "trend has a value: broken in 40 of 40 rows"),
    (
        "customer_id",
        [GOOD, GOOD, *customers(40)],
        "customer_id occurs once: broken in 2 of 42 rows (4.76%)",
    ),
    ("", [], "the number of rows is at least 1: found 0"),
]


@pytest.mark.parametrize(("column", "rows", "message"), STOPS, ids=[column or "rows" for column, _, _ in STOPS])
def test_a_broken_source_stops_the_night_by_name(
    asked: Inspector, tmp_path: Path, here: Settings, *, column: str, rows: list[dict[str, object]], message: str
) -> None:
    write_bucket(tmp_path, rows)
    with pytest.raises(QualityError) as caught:
        verdict(inspect_snapshot(tmp_path, CONTRACT, here))
    assert message in caught.value.what
    assert pq.read_metadata(tmp_path / QUARANTINE).num_columns == len(schemas.quarantine.QUARANTINE.columns)
    assert caught.value.where == "small customers" + (f"/{column}" if column else "")
    assert ("for example C0" in caught.value.what) == bool(column)


def test_many_exact_duplicates_without_a_key_of_their_own_do_not_stop_the_night(
    asked: Inspector, tmp_path: Path, here: Settings
) -> None:
    write_bucket(tmp_path, [*customers(40), *customers(10)])
    report = inspect_snapshot(tmp_path, WITH_SURROGATE_KEY, here)
    verdict(report)
    assert (report.quarantined, base_size(tmp_path)) == (10, 40)


def test_a_base_that_shrank_by_thirty_percent_stops_the_night(asked: Inspector, tmp_path: Path, here: Settings) -> None:
    write_bucket(tmp_path, customers(70))
    with pytest.raises(QualityError, match="the number of rows is 80 to 200: found 70"):
        verdict(inspect_snapshot(tmp_path, CONTRACT, here, expected_rows=row_limits(100)))


@pytest.mark.parametrize("column", ["minutes", "customer_id"])
def test_a_column_that_was_renamed_stops_the_night(
    asked: Inspector, tmp_path: Path, here: Settings, column: str
) -> None:
    table = pa.Table.from_pylist(customers(5, region="west")).rename_columns({column: "other"})
    pq.write_table(table, tmp_path / "bucket=00.parquet")
    with pytest.raises(QualityError, match=f"found without {column}; extra other"):
        verdict(inspect_snapshot(tmp_path, CONTRACT, here))


GOOD_SCORE = {
    "as_of": date(2026, 1, 1),
    "segment": "prepaid",
    "probability": 0.02,
    "log_odds": -3.9,
    "band": "low",
    "percentile": 50,
    "customer_value": 100.0,
    "model_version": 1,
    "model_digest": "m",
    "contract_digest": "c",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"probability": 1.5}, "probability is 0 to 1"),
        ({"probability": None}, "probability has a value"),
        ({"probability": 0.2}, "the mean of probability is"),
        ({"percentile": 0}, "percentile is 1 to 100"),
        ({"band": "huge"}, "band is one of low, medium, high, very high"),
        ({"log_odds": float("nan")}, "log_odds is a finite number"),
        ({"customer_id": "same"}, "customer_id occurs once"),
    ],
)
def test_scores_are_checked_before_they_are_published(
    asked: Inspector, tmp_path: Path, here: Settings, *, change: dict[str, object], message: str | None
) -> None:
    rows = [GOOD_SCORE | {"customer_id": f"C{number}"} | change for number in range(20)]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(SCORES)), tmp_path / "bucket=00.parquet")
    report = inspect_scores(tmp_path, here, rows=20, base_rate=0.02)
    assert [message in outcome(report)] == [True] if message else report.worst is None


def outcome(report: QualityReport) -> str:
    with pytest.raises(QualityError) as caught:
        verdict(report)
    return str(caught.value)


def test_fewer_scores_than_customers_are_not_published(asked: Inspector, tmp_path: Path) -> None:
    rows = [GOOD_SCORE | {"customer_id": "C1"}]
    file = tmp_path / "bucket=00.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(SCORES)), file)
    assert "found 1" in outcome(asked.check(Request("scores", (str(file),), output_checks((2, 2)))))


def test_what_goes_wrong_in_the_child_is_told_in_words(asked: Inspector, tmp_path: Path) -> None:
    with pytest.raises(QualityError) as caught:
        asked.check(Request("lost customers", (str(tmp_path / "none.parquet"),), input_checks(CONTRACT)))
    assert "none.parquet" in caught.value.what
    assert "Traceback" not in str(caught.value)


def test_the_child_dies_with_a_parent_that_was_killed() -> None:
    program = (
        "import time; from tasks.inspection import inspector as i; i().warm_up();"
        "print(i()._child.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child, seconds=20)


def test_the_patch_for_duckdb_is_still_needed(tmp_path: Path) -> None:
    """When this fails, Great Expectations works with DuckDB as it is: remove _let_duckdb_keep_its_connection."""
    request = Request("rows", (write_bucket(tmp_path, customers(3)),), input_checks(CONTRACT))
    program = (
        "import sys, tasks.quality as q; q._let_duckdb_keep_its_connection = lambda: None;"
        "q.settle_libraries(q.current_settings());"
        "print({r.problem for r in q.check_rows(q.REQUEST.validate_json(sys.argv[1])).results if r.problem})"
    )
    line = REQUEST.dump_json(request).decode()
    done = subprocess.run([sys.executable, "-c", program, line], capture_output=True, text=True, check=True)
    assert "list index out of range" in done.stdout or "IndexError" in done.stdout, done.stdout


def test_a_child_that_was_killed_is_told_and_started_again(asked: Inspector, tmp_path: Path) -> None:
    request = Request("rows", (write_bucket(tmp_path, customers(3)),), input_checks(CONTRACT))
    victim = child_of(asked)
    os.kill(victim, signal.SIGSTOP)  # so that the request finds it alive
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {victim}"])
    with pytest.raises(QualityError, match="ended with code -9"):
        asked.check(request)
    killer.wait()
    assert child_of(asked) != victim


def child_of(inspector: Inspector) -> int:
    inspector.warm_up()
    assert inspector._child is not None
    return inspector._child.process.pid


def gone(pid: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
