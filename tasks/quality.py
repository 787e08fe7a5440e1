"""The only door to Great Expectations; as a program, the child process that tasks/inspection.py asks."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from churn.quality import columns_found
from churn.quarantine import literal
from schemas.quality import Check, CheckResult, QualityReport, Rule
from store.settings import current_settings, settle_libraries
from tasks.inspection import ANSWER, REQUEST, Answer, Request

MEMORY_LIMIT = "1GB"  # of DuckDB in the child, which spills what does not fit
_VIEW = "checked_rows"
# Counts without samples of values: one query for all counts instead of one more per check. Keys that break a rule
# come from the quarantine's SQL, since Great Expectations gives no more than 20.
_RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 0}


def check_rows(request: Request) -> QualityReport:
    """Makes all checks in this process, which imports Great Expectations and keeps it."""
    import great_expectations as gx

    _let_duckdb_keep_its_connection()
    expectations = [_expectation(check, place) for place, check in enumerate(request.checks)]
    with _batch(request) as batch:
        suite = gx.ExpectationSuite(request.where, expectations=expectations)
        outcome = batch.validate(suite, result_format=_RESULT_FORMAT)
    return _report(request, outcome.results)


class _DuckDB(str):
    """The name of a dialect in the shape of the members of GXSqlDialect, which has none for DuckDB."""

    __slots__ = ()

    @property
    def value(self) -> str:
        return str(self)


def _let_duckdb_keep_its_connection() -> None:
    """Great Expectations 1.24 closes a connection before it reads the result, which DuckDB then has lost: every metric
    raises IndexError. It keeps the connection for the dialects in this private tuple, so DuckDB joins them.
    A test says when this can go.
    """
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engine

    known: Any = engine._PERSISTED_CONNECTION_DIALECTS
    if "duckdb" not in known:
        engine._PERSISTED_CONNECTION_DIALECTS = (*known, _DuckDB("duckdb"))


@contextlib.contextmanager
def _batch(request: Request) -> Iterator[Any]:
    """The rows as Great Expectations sees them: a view on the files, in a DuckDB of this process alone."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_sql("lake", connection_string="duckdb:///:memory:checks", create_temp_table=False)
    engine = source.get_engine()
    try:
        with engine.connect() as connection:  # while it is open, the database in memory stays
            for statement in _arrangement(request):
                connection.exec_driver_sql(statement)
            connection.commit()
            table = source.add_table_asset("rows", table_name=_VIEW)
            yield table.add_batch_definition_whole_table("all").get_batch()
    finally:
        source.get_execution_engine().close()
        engine.dispose()


def _arrangement(request: Request) -> tuple[str, ...]:
    files = ", ".join(literal(file) for file in request.files)
    # A folder called as_of=2026-01-01 is no column of the rows in it.
    rows = f"SELECT * FROM read_parquet([{files}], hive_partitioning = false)"  # noqa: S608 - quoted literals
    return (
        f"SET threads = {request.threads}",
        f"SET memory_limit = {literal(MEMORY_LIMIT)}",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        f"CREATE OR REPLACE VIEW {_VIEW} AS {rows}",
    )


def _expectation(check: Check, place: int) -> Any:
    """The check in Great Expectations' words; `place` finds the check again in the results, which come unordered."""
    import great_expectations.expectations as gxe

    kind = getattr(gxe, _EXPECTATIONS[check.rule])
    return kind(severity=check.severity.value, meta={"place": place}, **_ARGUMENTS[check.rule](check))


_EXPECTATIONS = {
    Rule.COLUMNS: "ExpectTableColumnsToMatchOrderedList",
    Rule.ROW_COUNT: "ExpectTableRowCountToBeBetween",
    Rule.NOT_NULL: "ExpectColumnValuesToNotBeNull",
    Rule.UNIQUE: "ExpectColumnValuesToBeUnique",
    Rule.BETWEEN: "ExpectColumnValuesToBeBetween",
    Rule.AMONG: "ExpectColumnValuesToBeInSet",
    Rule.MEAN: "ExpectColumnMeanToBeBetween",
}


def _limits(check: Check) -> dict[str, Any]:
    return {"min_value": check.minimum, "max_value": check.maximum}


def _column(check: Check) -> dict[str, Any]:
    return {"column": check.column, "mostly": check.mostly}


_ARGUMENTS: dict[Rule, Callable[[Check], dict[str, Any]]] = {
    Rule.COLUMNS: lambda check: {"column_list": list(check.names)},
    Rule.ROW_COUNT: _limits,
    Rule.NOT_NULL: _column,
    Rule.UNIQUE: _column,
    Rule.BETWEEN: lambda check: _column(check) | _limits(check),
    Rule.AMONG: lambda check: _column(check) | {"value_set": list(check.allowed)},
    Rule.MEAN: lambda check: {"column": check.column} | _limits(check),
}


def _report(request: Request, results: list[Any]) -> QualityReport:
    found = {result.expectation_config.meta["place"]: result for result in results}
    ours = tuple(_result(check, found[place]) for place, check in enumerate(request.checks))
    rows = next((int(result.observed or 0) for result in ours if result.check.rule is Rule.ROW_COUNT), 0)
    return QualityReport(request.where, ours, rows)


def _result(check: Check, found: Any) -> CheckResult:
    problem = _problem(found.exception_info)
    if problem:
        return CheckResult(check, passed=False, problem=problem)
    facts = found.result
    if "unexpected_count" not in facts:
        return CheckResult(check, bool(found.success), observed=_observed(check, facts["observed_value"]))
    total = facts["element_count"] - facts.get("missing_count", 0)
    unexpected = facts["unexpected_count"] or 0  # SQL's sum over no rows is null
    return CheckResult(check, bool(found.success), unexpected, total)


def _observed(check: Check, value: Any) -> str:
    return columns_found(check.names, value) if check.rule is Rule.COLUMNS else str(value)


def _problem(exception_info: dict[str, Any]) -> str:
    """Great Expectations tells of one exception flat, or of several by metric."""
    told = [exception_info] if "raised_exception" in exception_info else list(exception_info.values())
    messages = [info["exception_message"] or "no message" for info in told if info["raised_exception"]]
    return messages[0].splitlines()[0] if messages else ""


def main() -> None:
    """Answers one request a line until the input ends; nothing else may reach the output."""
    answers = sys.stdout
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    with contextlib.redirect_stdout(sys.stderr):
        settle_libraries(current_settings())
        import great_expectations  # noqa: F401  # the warm-up: the first request shall not wait for it

        while True:
            print(ANSWER.dump_json(_answer(requests.get())).decode(), file=answers, flush=True)


def _listen(lines: IO[str], requests: queue.SimpleQueue[str]) -> None:
    """Hands requests on, and ends this process at once when its parent is gone, even amid a check."""
    for line in lines:
        requests.put(line)
    os._exit(0)


def _answer(line: str) -> Answer:
    try:
        return Answer(report=check_rows(REQUEST.validate_json(line)))
    except Exception as error:  # whatever it is, the parent shall hear of it in words
        return Answer(problem=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


if __name__ == "__main__":
    main()
