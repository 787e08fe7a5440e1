"""What is said of a candidate for a champion's place: its figures, the verdict, and how to approve it."""

from __future__ import annotations

import shlex

from churn.gate import Verdict


def approval_command(contract: str, version: int, segment: str, expected: int | None) -> str:
    """The shell command that makes the version champion, unless somebody else has become it since it was judged."""
    named = ("--contract", contract, "--segment", segment, "--expected", str(expected or 0))
    return shlex.join(("churn", "model", "promote", str(version), *named, "--why", "it passed the gate"))


def verdict_markdown(verdict: Verdict) -> str:
    """Every rule of the gate and what it found, as a table in Markdown."""
    rows = (
        f"| {'passed' if finding.passed else '**refused**'} | {finding.rule.replace('_', ' ')} | {finding.says} |"
        for finding in verdict.findings
    )
    return "\n".join(["| | rule | what it found |", "|---|---|---|", *rows])
