"""What a person sees of a run: artifacts in the Prefect UI, and a summary for the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from churn.metrics import Evaluation
from schemas.outreach import OUTREACH, STATUSES
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.lake import read_parquet
from store.settings import current_settings
from tasks.checks import PAGE
from tasks.night import Candidate, Night, Result, Summary

TOP = 10  # places of the list that a summary shows


@task(task_run_name="report the night of {night.base} as of {night.as_of}", cache_policy=NO_CACHE)
def report_night(night: Night, scores: Result, outreach: Result, evaluation: Evaluation | None = None) -> Summary:
    """Counts what was published, and leaves it as artifacts."""
    summary = Summary(
        night=night,
        scores=scores,
        outreach=outreach,
        bands=_counts(scores.folder / SCORES.name, "band"),
        statuses=_counts(outreach.folder / STATUSES.name, "status"),
        quarantined=_quarantined(scores.folder / QUARANTINE.name),
        top=tuple(_rows(outreach.folder / OUTREACH.name, None).slice(0, TOP).to_pylist()),
        places=_places(night, scores, outreach),
        evaluation=evaluation,
    )
    _leave_artifacts(summary)
    return summary


@task(task_run_name="show version {candidate.version}", cache_policy=NO_CACHE)
def show_model(night: Night, candidate: Candidate) -> None:
    """Leaves the new model's figures and where it lies as an artifact."""
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in candidate.figures.items())
    create_markdown_artifact(
        key="model-card",
        description=f"Version {candidate.version} of {night.base}",
        markdown=f"# {night.base}, version {candidate.version}\n\nJudged {candidate.split}. "
        f"[The model's folder]({candidate.folder.as_uri()}), digest `{candidate.digest}`.\n\n"
        f"| figure | value |\n|---|---|\n{figures}\n",
    )


def _leave_artifacts(summary: Summary) -> None:
    counts = {"scored": summary.scores.rows, "quarantined": summary.quarantined}
    counts |= {f"band {band}": count for band, count in summary.bands.items()} | summary.statuses
    title = f"{summary.night.base} as of {summary.night.as_of}"
    create_table_artifact(
        key="night-counts",
        table=[{"what": what, "customers": count} for what, count in counts.items()],
        description=f"Counts: {title}",
    )
    create_table_artifact(
        key="outreach-top",
        table=[{name: str(value) for name, value in row.items() if not name.endswith("digest")} for row in summary.top],
        description=f"Top of the outreach list: {title}",
    )


def _places(night: Night, scores: Result, outreach: Result) -> dict[str, str]:
    settings = current_settings()
    return {
        "scores (Parquet)": str(scores.folder / SCORES.name),
        "outreach list (Parquet)": str(outreach.folder / OUTREACH.name),
        "everybody's status (Parquet)": str(outreach.folder / STATUSES.name),
        "tables and views": _shown(settings.database_url),
        "quality report": str(night.snapshot / PAGE),
        "models": str(settings.artifacts / "models"),
    }


def _shown(url: str) -> str:
    """A database's URL as people may see it, without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def _counts(folder: Path, column: str) -> dict[str, int]:
    counts = pc.value_counts(_rows(folder, [column])[column].combine_chunks())
    return dict(sorted(((row["values"], row["counts"]) for row in counts.to_pylist()), key=lambda count: -count[1]))


def _quarantined(folder: Path) -> int:
    places = _rows(folder, ["file", "row"]).group_by(["file", "row"]).aggregate([])
    return int(places.num_rows)


def _rows(folder: Path, columns: list[str] | None) -> pa.Table:
    return read_parquet(_files(folder), columns)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.glob("*.parquet"))
