"""The checks that a contract asks for, and what their results mean for the night."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from churn.errors import QualityError
from churn.quality import (
    columns_found,
    finding,
    input_checks,
    output_checks,
    row_limits,
    subject,
    verdict,
    with_quarantine,
)
from churn.quality_report import report_html, report_markdown
from schemas.contract import Contract
from schemas.quality import Check, CheckResult, QualityReport, Rule, Severity
from schemas.scores import SCORES
from tests.quality_contract import CONTRACT, WITH_SURROGATE_KEY

LARGEST = sys.float_info.max
WHERE = "small customers"
BETWEEN = Check(Rule.BETWEEN, Severity.CRITICAL, "minutes", 0.95, minimum=0, maximum=44_640, unit="minutes")


def asked_of(column: str, contract: Contract = CONTRACT) -> list[tuple[Rule, Severity, bool]]:
    return [(c.rule, c.severity, c.quarantines) for c in input_checks(contract) if c.column == column]


def test_a_few_broken_rows_are_a_warning_and_many_are_critical() -> None:
    levels = [check for check in input_checks(CONTRACT) if (check.column, check.rule) == ("minutes", Rule.BETWEEN)]
    assert [(check.severity, check.mostly) for check in levels] == [(Severity.WARNING, 1.0), (Severity.CRITICAL, 0.95)]


def test_a_repeated_key_stops_the_night() -> None:
    assert (Rule.UNIQUE, Severity.CRITICAL, True) in asked_of("customer_id")


def test_exact_duplicates_are_only_set_aside_where_the_key_is_made_from_the_row() -> None:
    assert (Rule.UNIQUE, Severity.WARNING, True) in asked_of("customer_id", WITH_SURROGATE_KEY)


def test_an_unseen_value_is_reported_but_its_row_stays_where_the_contract_scores_it_as_unseen() -> None:
    assert (Rule.AMONG, Severity.WARNING, False) in asked_of("plan")
    assert (Rule.AMONG, Severity.WARNING, True) in asked_of("region")


def test_a_feature_that_may_be_missing_must_not_be_missing_everywhere() -> None:
    [gone] = [check for check in input_checks(CONTRACT) if (check.column, check.rule) == ("trend", Rule.NOT_NULL)]
    assert gone.severity is Severity.CRITICAL
    assert 0 < gone.mostly < 1e-6
    assert not gone.quarantines


def test_allowed_values_are_compared_in_the_type_of_their_column() -> None:
    assert {check.allowed for check in input_checks(CONTRACT) if check.column == "lines"} == {(1, 2, 3)}


@pytest.mark.parametrize("checks", [input_checks(CONTRACT), output_checks((7, 7))])
def test_every_suite_counts_the_rows_because_an_empty_table_passes_all_else(checks: tuple[Check, ...]) -> None:
    [rows] = [check for check in checks if check.rule is Rule.ROW_COUNT]
    assert rows.severity is Severity.CRITICAL
    assert rows.minimum is not None
    assert rows.minimum >= 1


def test_a_base_may_shrink_by_a_fifth_and_no_more() -> None:
    assert row_limits(1_000) == (800, 2_000)
    assert row_limits(1) == (1, 2)
    assert row_limits(0) == (1, 1)


def test_every_check_of_the_scores_is_critical_and_tolerates_nothing() -> None:
    checks = output_checks((10, 10), base_rate=0.02)
    assert {(check.severity, check.mostly) for check in checks} == {(Severity.CRITICAL, 1.0)}
    assert {"probability", "percentile", "band", "customer_id"} <= {check.column for check in checks}


def test_the_mean_score_must_be_near_the_champions_base_rate() -> None:
    [mean] = [check for check in output_checks((10, 10), base_rate=0.5) if check.rule is Rule.MEAN]
    assert (mean.minimum, mean.maximum) == (pytest.approx(0.5 / 3), 1.0)


def test_checks_and_reports_survive_the_way_to_the_child_and_back() -> None:
    checks = (*input_checks(CONTRACT, (5, 9)), *output_checks((5, 5), base_rate=0.02))
    adapter = TypeAdapter(tuple[Check, ...])
    assert adapter.validate_json(adapter.dump_json(checks)) == checks
    report = TypeAdapter(QualityReport)
    assert report.validate_json(report.dump_json(failing_report())) == failing_report()


def test_a_critical_failure_names_table_column_rule_count_and_examples_and_says_what_to_do() -> None:
    with pytest.raises(QualityError) as caught:
        verdict(failing_report())
    assert str(caught.value) == (
        "small customers/minutes: minutes is 0 to 44,640 minutes: broken in 900 of 1,000 rows (90.00%), "
        "at most 5% is tolerated; for example C1, C2, C3\n"
        "  Ask the source for its unit; if the values are right, widen the range in the contract."
    )


def test_who_has_no_key_is_not_to_be_let_in_by_the_contract() -> None:
    (of_key,) = (c for c in input_checks(CONTRACT) if c.column == CONTRACT.key and c.rule is Rule.NOT_NULL)
    result = CheckResult(of_key, passed=False, unexpected=1, total=1_000)
    with pytest.raises(QualityError, match=r"\n  Ask the source for the keys: a row without one is nobody's\.$"):
        verdict(QualityReport(WHERE, (result,), 1_000))


def test_a_night_that_stops_says_where_the_rows_are_that_it_set_aside() -> None:
    assert "3 rows would have been set aside; they are in quarantine.parquet" in report_markdown(failing_report())
    tolerated = replace(failing_result(), check=replace(BETWEEN, severity=Severity.WARNING))
    report = QualityReport(WHERE, (tolerated,), rows=1_000, quarantined=3)
    assert "3 rows were set aside in the quarantine table." in report_html(report)


def test_warnings_let_the_night_go_on() -> None:
    report = QualityReport(
        WHERE, (replace(failing_result(), check=replace(BETWEEN, severity=Severity.WARNING)),), 1_000
    )
    verdict(report)
    assert report.worst is Severity.WARNING


def test_a_check_that_could_not_be_made_stops_the_night() -> None:
    result = CheckResult(BETWEEN, passed=False, problem="no such column")
    with pytest.raises(QualityError, match=re.escape("minutes between could not be checked (no such column)")):
        verdict(QualityReport(WHERE, (result,), 1_000))


@pytest.mark.parametrize(("broken", "passes"), [(0, True), (50, True), (51, False)])
def test_rows_broken_for_many_small_reasons_may_not_thin_the_base(broken: int, *, passes: bool) -> None:
    report = with_quarantine(QualityReport(WHERE, (), 1_000), set_aside=400, broken=broken)
    assert report.quarantined == 400
    assert (report.worst is None) == passes


def test_the_difference_of_columns_is_told_by_name() -> None:
    assert columns_found(["a", "b"], ["b", "c"]) == "without a; extra c"
    assert columns_found(["a", "b"], ["b", "a"]) == "another order: b, a"
    assert columns_found(["a", "b"], ["a", "b"]) == "these"


def test_a_finding_of_the_whole_table_says_what_was_seen() -> None:
    check = Check(Rule.ROW_COUNT, Severity.CRITICAL, minimum=800, maximum=2_000)
    assert finding(CheckResult(check, passed=False, observed="700")) == "the number of rows is 800 to 2,000: found 700"


@pytest.mark.parametrize(
    ("minimum", "maximum", "words"),
    [
        (0, 5, "minutes is 0 to 5 minutes"),
        (0, 0, "minutes is 0 minutes"),
        (0, LARGEST, "minutes is at least 0 minutes"),
        (-LARGEST, 5, "minutes is at most 5 minutes"),
        (-LARGEST, LARGEST, "minutes is a finite number"),
    ],
)
def test_limits_are_told_as_people_say_them(minimum: float, maximum: float, words: str) -> None:
    assert subject(replace(BETWEEN, minimum=minimum, maximum=maximum)) == words


def test_the_markdown_report_lists_the_worst_first() -> None:
    warning = replace(failing_result(), check=replace(BETWEEN, severity=Severity.WARNING, column="a|b"))
    report = replace(failing_report(), results=(warning, failing_result()))
    rows = [line for line in report_markdown(report).splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["severity", "critical", "warning"]
    assert "a\\|b between" in rows[2]


def test_the_html_report_is_whole_without_a_network_and_escapes_what_it_shows() -> None:
    bad = replace(failing_result(), examples=("<script>alert(1)</script>",))
    page = report_html(replace(failing_report(), results=(bad, CheckResult(BETWEEN, passed=True, total=3))))
    assert "<script" not in page
    assert not re.search(r"https?:|src=|@import|url\(", page)
    assert page.index('class="critical"') < page.index('class="passed"')


def test_the_score_table_must_have_exactly_its_own_columns() -> None:
    assert {check.names for check in output_checks((1, 1)) if check.rule is Rule.COLUMNS} == {SCORES.names}


def failing_result() -> CheckResult:
    return CheckResult(BETWEEN, passed=False, unexpected=900, total=1_000, examples=("C1", "C2", "C3"))


def failing_report() -> QualityReport:
    return QualityReport(WHERE, (failing_result(),), rows=1_000, quarantined=3)
