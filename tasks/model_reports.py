"""What a person sees of a retraining: each candidate's card and verdict, and how to approve it."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact

from churn.promotion import approval_command, figures_markdown, verdict_markdown
from tasks.night import Candidate, Course, Night, Retraining
from tasks.reports import artifact_key, whom
from tasks.step import step


@step("report the retraining of {night.base}")
def report_training(
    night: Night, course: Course, candidates: Sequence[Candidate], promoted: Sequence[str]
) -> Retraining:
    """Shows every candidate, and gives what came of them to whoever asked for the retraining."""
    for candidate in candidates:
        _leave_candidate(night, candidate)
    return Retraining(night.base, tuple(candidates), tuple(promoted), course.fallbacks)


@step("show version {candidate.version}")
def show_candidate(night: Night, candidate: Candidate) -> None:
    """Leaves the candidate's card and verdict as artifacts."""
    _leave_candidate(night, candidate)


@step("ask for approval")
def ask_for_approval(night: Night, candidates: Sequence[Candidate]) -> None:
    """Leaves an artifact for each candidate that passed the gate, which says how to make it champion."""
    for candidate in candidates:
        if candidate.verdict.passed:
            title = _title(night, candidate)
            create_markdown_artifact(
                key=artifact_key("approval", candidate.segment),
                description=f"{title} waits for approval",
                markdown=f"# {title} waits for approval\n\n{_how(night, candidate)}\n",
            )


def _leave_candidate(night: Night, candidate: Candidate) -> None:
    title = _title(night, candidate)
    create_markdown_artifact(
        key=artifact_key("model-card", candidate.segment),
        description=title,
        markdown=f"# {title}\n\nJudged {candidate.split}. [The model's folder]({candidate.folder.as_uri()}), digest "
        f"`{candidate.digest}`.\n\n{figures_markdown(candidate.figures)}\n",
    )
    create_markdown_artifact(
        key=artifact_key("verdict", candidate.segment),
        description=f"What the gate said: {title}",
        markdown=f"# {title}\n\n{verdict_markdown(candidate.verdict)}\n",
    )


def _title(night: Night, candidate: Candidate) -> str:
    return f"Version {candidate.version} of {night.base} for {whom(candidate.segment)}"


def _how(night: Night, candidate: Candidate) -> str:
    command = approval_command(night.base, candidate.version, candidate.segment, candidate.expected)
    return (
        f"{verdict_markdown(candidate.verdict)}\n\nTo approve, run the deployment `promotion` with version "
        f"{candidate.version}, segments `{candidate.segment}`, expected {candidate.expected or 0} and your reason, "
        f"or\n\n```sh\n{command}\n```"
    )
