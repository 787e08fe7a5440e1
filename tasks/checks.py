"""The two checks of a night: the snapshot before it is scored, the scores before they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from prefect.artifacts import create_markdown_artifact

from churn.contract import arrow_schema
from churn.errors import QualityError
from churn.quality import input_checks, output_checks, row_limits, verdict, with_quarantine
from churn.quality_report import report_html, report_markdown
from churn.quarantine import ROW_RULES, examples_sql, violations_sql
from churn.segments import mean_rate
from schemas import quarantine
from schemas.contract import Contract
from schemas.quality import CheckResult, QualityReport, Rule, Severity
from schemas.scores import SCORES
from store.contracts import read_contract
from store.lake import duck, read_parquet, rows_of, write_parquet, write_text
from store.settings import Settings, current_settings
from tasks.inspection import Request, inspector
from tasks.night import Champions, Night
from tasks.orchestrator import worth_no_failure
from tasks.step import step

QUARANTINE = "quarantine.parquet"
PAGE, SCORES_PAGE = "quality.html", "quality-scores.html"
BUCKETS = "bucket=*.parquet"


def warm_up() -> None:
    """Starts the process that makes the checks, so that it imports its libraries while other steps run."""
    inspector().warm_up()


@step("check the snapshot")
def check_snapshot(night: Night, previous_rows: int | None = None) -> QualityReport:
    """Lets the snapshot through, its broken rows set aside, or stops the night with a QualityError.

    `previous_rows` is the base of the last published night: a much smaller one is no base but half a delivery.
    """
    limits = None if previous_rows is None else row_limits(previous_rows)
    contract = read_contract(night.contract)
    report = inspect_snapshot(night.snapshot, contract, current_settings(), expected_rows=limits)
    return _judged(report, night.snapshot / PAGE, key="data-quality-snapshot")


@step("check the scores")
def check_scores(night: Night, scores: Path, champions: Champions) -> QualityReport:
    """Lets the score files in the folder be published, or stops the night with a QualityError.

    Every customer of the snapshot who was not set aside must have one, and their mean must be near what the champions
    were calibrated to.
    """
    rows = base_size(night.snapshot)
    base_rate = _expected_rate(scores, champions)
    report = inspect_scores(scores, current_settings(), rows=rows, base_rate=base_rate)
    return _judged(report, night.snapshot / SCORES_PAGE, key="data-quality-scores")


def _judged(report: QualityReport, page: Path, *, key: str) -> QualityReport:
    """The report is kept before the verdict, and beside the snapshot, which stays: it is needed most when all stops."""
    write_text(report_html(report), page)
    with worth_no_failure("the data quality report"):
        create_markdown_artifact(key=key, markdown=report_markdown(report), description=f"Data quality: {report.where}")
    try:
        verdict(report)
    except QualityError as stop:
        raise QualityError(stop.what, where=stop.where, to_do=f"{stop.to_do} The whole report: {page}") from None
    return report


def _expected_rate(scores: Path, champions: Champions) -> float:
    """The churn rate that the champions, each with the customers it scored, would find in a base like theirs."""
    rates = {champion.digest: champion.base_rate for champion in champions.pinned}
    digests = read_parquet([Path(file) for file in _files(scores)], ["model_digest"])["model_digest"]
    return mean_rate({count["values"]: count["counts"] for count in pc.value_counts(digests).to_pylist()}, rates)


def base_size(snapshot: Path) -> int:
    """How many customers of a checked snapshot are scored: all but the ones set aside."""
    rows = sum(rows_of(Path(file)) for file in _files(snapshot))
    return rows - distinct_rows(read_parquet([snapshot / QUARANTINE], ["file", "row"]))


def inspect_snapshot(
    snapshot: Path, contract: Contract, settings: Settings, *, expected_rows: tuple[int, int] | None = None
) -> QualityReport:
    """Checks the snapshot's buckets and writes the rows to set aside into its folder as `quarantine.parquet`.

    The report is for churn.quality.verdict to judge. Raises QualityError where the checks cannot be made.
    """
    files = _files(snapshot)
    where = f"{contract.name} {contract.customer.name}"
    checks = input_checks(contract, expected_rows)
    report = inspector().check(Request(where, files, checks, settings.cores))
    aside = _set_aside(report, contract.key, files, settings.cores)
    write_parquet(aside, snapshot / QUARANTINE)
    broken = aside.filter(pc.not_equal(aside["rule"], Rule.UNIQUE))
    report = with_quarantine(report, set_aside=distinct_rows(aside), broken=distinct_rows(broken))
    return _with_examples(report, contract.key, files)


def inspect_scores(scores: Path, settings: Settings, *, rows: int, base_rate: float | None = None) -> QualityReport:
    """Checks the score files of a run before it is published: `rows` of them, around the champion's base rate.

    The report is for churn.quality.verdict to judge. Raises QualityError where the checks cannot be made.
    """
    files = _files(scores)
    checks = output_checks((rows, rows), base_rate=base_rate)
    report = inspector().check(Request(SCORES.name, files, checks, settings.cores))
    return _with_examples(report, "customer_id", files)


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(folder.glob(BUCKETS)))


def _set_aside(report: QualityReport, key: str, files: Sequence[str], threads: int) -> pa.Table:
    """The rows that leave the night. Only rules that were found broken are asked again: the others have none."""
    broken = [result.check for result in _broken_by_rows(report) if result.check.quarantines]
    if not broken:
        return arrow_schema(quarantine.QUARANTINE).empty_table()
    with duck(threads) as connection:
        return connection.sql(violations_sql(broken, key=key, files=files)).to_arrow_table()


def distinct_rows(aside: pa.Table) -> int:
    """How many rows the violations set aside: one row may break several rules."""
    places = aside.select(["file", "row"]).group_by(["file", "row"]).aggregate([])
    return int(places.num_rows)


def _with_examples(report: QualityReport, key: str, files: Sequence[str]) -> QualityReport:
    """The report with three keys, and what stands there, beside each critical finding that rows are the cause of."""
    critical = [result for result in _broken_by_rows(report) if result.check.severity is Severity.CRITICAL]
    with duck() as connection:
        found = {
            result.check: connection.sql(examples_sql(result.check, key=key, files=files)).fetchall()
            for result in critical
        }
    results = (
        replace(result, examples=tuple(_example(*row) for row in found.get(result.check, ())))
        for result in report.results
    )
    return replace(report, results=tuple(results))


def _example(key: str | None, value: str | None) -> str:
    return str(key) if value is None else f"{key} ({value})"


def _broken_by_rows(report: QualityReport) -> list[CheckResult]:
    """The failed checks whose rows SQL can name: none where a column is missing, which the report tells first."""
    if any(result.problem for result in report.results):
        return []
    return [result for result in report.results if not result.passed and result.check.rule in ROW_RULES]
