"""Leaves the page of a night in the Prefect UI, and names its run after what was published."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from prefect import runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client

from churn.night_summary import Around, Figures, night_markdown
from schemas.outreach import STATUSES
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.lake import read_parquet
from store.publication import open_publisher
from store.settings import current_settings
from tasks.checks import distinct_rows
from tasks.night import Summary
from tasks.orchestrator import worth_no_failure


@worth_no_failure("the page of the night")
def show_night(summary: Summary) -> None:
    """What was counted, what changed since the night before, how long each step took, and where everything lies."""
    night, scores = summary.night, summary.scores
    figures = Figures(
        night.as_of, scores.revision, scores.rows, summary.outreach.rows, summary.quarantined, summary.bands,
        summary.statuses,
    )  # fmt: skip
    around = Around(_seconds(), summary.places, summary.objections, summary.parity)
    page = night_markdown(night.base, figures, _night_before(summary), around)
    create_markdown_artifact(key="night", markdown=page, description=f"{night.base} as of {night.as_of}")
    _name_run(f"{night.base} as of {night.as_of}, revision {scores.revision}")


def counts_in(folder: Path, column: str) -> dict[str, int]:
    """How many rows of a published table have each value of the column, the most frequent first."""
    counts = pc.value_counts(rows_in(folder, [column])[column].combine_chunks())
    return dict(sorted(((row["values"], row["counts"]) for row in counts.to_pylist()), key=lambda count: -count[1]))


def rows_in(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """The rows of a published table, by default with all their columns."""
    return read_parquet(sorted(folder.glob("*.parquet")), columns)


def _night_before(summary: Summary) -> Figures | None:
    """The newest published night that is older; None where there is none, or its files are kept no longer."""
    publisher, night = open_publisher(current_settings()), summary.night
    scores = publisher.newest_before(night.base, "scores", night.as_of)
    if scores is None or not scores.folder.is_dir():
        return None
    listed = publisher.published(night.base, "outreach", scores.unit.as_of)
    statuses = counts_in(listed.folder / STATUSES.name, "status") if listed and listed.folder.is_dir() else {}
    return Figures(
        as_of=scores.unit.as_of,
        revision=scores.revision,
        scored=scores.rows,
        listed=statuses.get("listed", 0),
        quarantined=distinct_rows(rows_in(scores.folder / QUARANTINE.name, ["file", "row"])),
        bands=counts_in(scores.folder / SCORES.name, "band"),
        statuses=statuses,
    )


def _seconds() -> dict[str, float]:
    """How long each step of this run took so far, from its first task's start to its last one's end."""
    with get_client(sync_client=True) as client:
        asked = {"flow_runs": {"id": {"any_": [runtime.flow_run.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        ended = [run for run in client.request("POST", "/task_runs/filter", json=asked).json() if run["end_time"]]
    steps: dict[str, list[tuple[datetime, datetime]]] = {}
    for run in ended:
        steps.setdefault(_words(run), []).append((_moment(run["start_time"]), _moment(run["end_time"])))
    return {
        step: (max(end for _, end in spans) - min(start for start, _ in spans)).total_seconds()
        for step, spans in steps.items()
    }


def _words(task_run: dict[str, Any]) -> str:
    """The step's function in words: `score_bucket-1a2b3c4d` is how Prefect keys it."""
    return re.sub("-[0-9a-f]{8}$", "", str(task_run["task_key"])).rpartition(".")[2].replace("_", " ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _name_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(runtime.flow_run.id, name=name)
