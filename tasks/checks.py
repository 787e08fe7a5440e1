"""The two checks of a night: the snapshot before it is scored, the scores before they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from churn.quality import input_checks, output_checks, with_quarantine
from churn.quarantine import ROW_RULES, examples_sql, quarantine_sql
from schemas.contract import Contract
from schemas.quality import CheckResult, QualityReport, Severity
from schemas.scores import SCORES
from store.lake import duck, write_parquet
from store.settings import Settings
from tasks.inspection import Request, inspector

QUARANTINE = "quarantine.parquet"
BUCKETS = "bucket=*.parquet"


def warm_up() -> None:
    """Starts the process that makes the checks, so that it imports its libraries while other steps run."""
    inspector().warm_up()


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
    quarantine = _quarantine(contract, files, settings.cores)
    write_parquet(quarantine, snapshot / QUARANTINE)
    report = with_quarantine(report, _distinct_rows(quarantine))
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


def _quarantine(contract: Contract, files: Sequence[str], threads: int) -> pa.Table:
    with duck(threads) as connection:
        return connection.sql(quarantine_sql(contract, files)).to_arrow_table()


def _distinct_rows(quarantine: pa.Table) -> int:
    places = quarantine.select(["file", "row"]).group_by(["file", "row"]).aggregate([])
    return int(places.num_rows)


def _with_examples(report: QualityReport, key: str, files: Sequence[str]) -> QualityReport:
    with duck() as connection:

        def completed(result: CheckResult) -> CheckResult:
            if not _wants_examples(result):
                return result
            found = connection.sql(examples_sql(result.check, key=key, files=files)).fetchall()
            return replace(result, examples=tuple(str(value) for (value,) in found))

        return replace(report, results=tuple(completed(result) for result in report.results))


def _wants_examples(result: CheckResult) -> bool:
    of_rows = result.check.rule in ROW_RULES and not result.problem
    return of_rows and not result.passed and result.check.severity is Severity.CRITICAL
