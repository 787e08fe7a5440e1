"""The quality report as people read it: Markdown for the run's page, HTML to keep; both whole without a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from churn.quality import finding, subject
from schemas.quality import CheckResult, QualityReport, Severity

_PASSED = "passed"
_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def report_markdown(report: QualityReport) -> str:
    """What failed, the worst first; the checks that passed are only counted."""
    lines = [f"## Data quality: {report.where}", "", _summary(report), ""]
    failed = list(_failed(report))
    if failed:
        lines += ["| severity | check | finding |", "|---|---|---|"]
        lines += [
            f"| {_severity(result)} | {_cell(result.check.name)} | {_cell(finding(result))} |" for result in failed
        ]
    return "\n".join(lines) + "\n"


def report_html(report: QualityReport) -> str:
    """Every check in one table, the failed ones first, in a page that needs no other file."""
    passed = [result for result in report.results if result.passed]
    rows = "\n".join(_html_row(result) for result in (*_failed(report), *passed))
    return _PAGE.format(where=escape(report.where), summary=escape(_summary(report)), rows=rows)


def _summary(report: QualityReport) -> str:
    passed = sum(result.passed for result in report.results)
    worst = report.worst
    outcome = f"worst failure: {worst}" if worst else "nothing failed"
    return f"{passed} of {len(report.results)} checks passed on {report.rows:,} rows, {outcome}. {_set_aside(report)}"


def _set_aside(report: QualityReport) -> str:
    """A night that stops publishes nothing, the table of what it set aside neither."""
    if report.worst is Severity.CRITICAL:
        return f"{report.quarantined:,} rows would have been set aside; they are in quarantine.parquet beside the page."
    return f"{report.quarantined:,} rows were set aside in the quarantine table."


def _failed(report: QualityReport) -> Iterator[CheckResult]:
    for severity in _ORDER:
        yield from report.failed(severity)


def _severity(result: CheckResult) -> str:
    return _PASSED if result.passed else str(result.check.severity)


def _markdown_row(result: CheckResult) -> str:
    return f"| {_severity(result)} | {_cell(result.check.name)} | {_cell(finding(result))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _html_row(result: CheckResult) -> str:
    severity = _severity(result)
    words = subject(result.check) if result.passed else finding(result)
    counts = f"{result.unexpected:,} of {result.total:,}" if result.total else result.observed
    cells = "".join(f"<td>{escape(text)}</td>" for text in (severity, result.check.name, words, counts))
    return f'<tr class="{severity}">{cells}</tr>'


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Data quality: {where}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left; vertical-align: top }}
.critical td:first-child {{ color: #a40000; font-weight: bold }}
.warning td:first-child {{ color: #8a5a00; font-weight: bold }}
.passed td:first-child {{ color: #1c6b2a }}
</style>
<h1>Data quality: {where}</h1>
<p>{summary}</p>
<table>
<thead><tr><th>result</th><th>check</th><th>what it says</th><th>broken, or seen</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</html>
"""
