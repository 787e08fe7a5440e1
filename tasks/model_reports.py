"""What a person sees of a retraining: each candidate's card and verdict, and how to approve it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from churn.model_card import model_markdown, model_page
from churn.promotion import approval_command, verdict_markdown
from churn.scorecard import Scorecard
from store.artifacts import load_model
from store.pages import keep_model_page
from store.settings import current_settings
from tasks.night import Candidate, Course, Night, Retraining
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun
from tasks.reports import artifact_key, whom
from tasks.step import step


@step("report the retraining of {night.base}")
def report_training(
    night: Night, course: Course, candidates: Sequence[Candidate], promoted: Sequence[str]
) -> Retraining:
    """Shows every candidate, and gives what came of them to whoever asked for the retraining."""
    begun("draw the model cards")
    for candidate in candidates:
        _leave_candidate(night, candidate)
    pages = tuple(_page(candidate) for candidate in candidates)
    return Retraining(night.base, tuple(candidates), pages, tuple(promoted), course.fallbacks)


@step("show version {candidate.version}")
def show_candidate(night: Night, candidate: Candidate) -> None:
    """Leaves the candidate's card and verdict as artifacts; its page, which takes seconds to draw, is left out."""
    _leave_candidate(night, candidate)


@step("ask for approval")
@worth_no_failure("how to approve a candidate")
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


@worth_no_failure("what became of a candidate")
def _leave_candidate(night: Night, candidate: Candidate) -> None:
    title = _title(night, candidate)
    manifest = load_model(candidate.digest, current_settings()).manifest
    create_markdown_artifact(
        key=artifact_key("model-card", candidate.segment),
        description=title,
        markdown=model_markdown(manifest, candidate.digest, candidate.version),
    )
    create_markdown_artifact(
        key=artifact_key("verdict", candidate.segment),
        description=f"What the gate said: {title}",
        markdown=f"# {title}\n\n{verdict_markdown(candidate.verdict)}\n",
    )


def _page(candidate: Candidate) -> Path:
    settings = current_settings()
    model = load_model(candidate.digest, settings)
    card = model.model if isinstance(model.model, Scorecard) else None
    page = model_page(model.manifest, card, candidate.digest, candidate.version)
    return keep_model_page(page, candidate.digest, settings)


def _title(night: Night, candidate: Candidate) -> str:
    return f"Version {candidate.version} of {night.base} for {whom(candidate.segment)}"


def _how(night: Night, candidate: Candidate) -> str:
    command = approval_command(night.base, candidate.version, candidate.segment, candidate.expected)
    return (
        f"{verdict_markdown(candidate.verdict)}\n\nTo approve, run the deployment `promotion` with version "
        f"{candidate.version}, segments `{candidate.segment}`, expected {candidate.expected or 0} and your reason, "
        f"or\n\n```sh\n{command}\n```"
    )
