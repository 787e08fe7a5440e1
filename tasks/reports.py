"""What a person sees of a run: artifacts in the Prefect UI, and a summary for the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_table_artifact

from churn.metrics import Evaluation
from churn.scoring import BANDS
from churn.segments import ALL
from schemas.columns import Role
from schemas.contract import Contract
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.scores import SCORES
from store.artifacts import model_folder
from store.contracts import read_contract
from store.parity import kept_parity
from store.registry import Event, open_registry
from store.settings import current_settings
from store.source_names import source_name
from tasks.checks import PAGE, distinct_rows
from tasks.night import Champions, Night, Pinned, Result, Summary
from tasks.night_page import counts_in, rows_in, show_night
from tasks.orchestrator import worth_no_failure
from tasks.step import LATER, step

WORTHLESS = "the list names nobody: no column of the contract has the role value, which says what a customer is worth"
TOP = 10  # places of the list that a summary shows


@step("report the night of {night.base} as of {night.as_of}", again_after=LATER)
def report_night(night: Night, scores: Result, outreach: Result, evaluation: Evaluation | None = None) -> Summary:
    """Counts what was published, for whoever asked for the night, and leaves a page of it."""
    summary = Summary(
        night=night,
        scores=scores,
        outreach=outreach,
        bands=_bands(scores),
        statuses=counts_in(outreach.folder / STATUSES.name, "status"),
        quarantined=_quarantined(scores.folder / QUARANTINE.name),
        top=tuple(_top(outreach)),
        places=_places(night, scores, outreach),
        teams=tuple(_teams(outreach)),
        evaluation=evaluation,
        objections=(
            *objections_to(open_registry(current_settings()).history(night.base, None)),
            *without_worth(read_contract(night.contract), outreach.rows),
        ),
        parity=str(kept_parity(current_settings(), scores.run_id) or ""),
    )
    show_night(summary)
    return summary


def objections_to(history: Sequence[Event]) -> tuple[str, ...]:
    """What the gate has against each champion that a history ends with and that scores all the same, in a sentence."""
    last = {event.segment: event for event in history}
    return tuple(
        f"version {event.to_version} scores {whom(segment)} by an override ({event.why}): {event.overridden}"
        for segment, event in last.items()
        if event.overridden
    )


def without_worth(contract: Contract, listed: int) -> tuple[str, ...]:
    """Why an empty list is empty, where the contract does not say what a customer is worth."""
    return () if listed or contract.one(Role.VALUE) else (WORTHLESS,)


@step("show the scores")
@worth_no_failure("the counts of the scores")
def show_scores(night: Night, champions: Champions, scores: Result) -> None:
    """Leaves the counts of a night's scores, and a link to each model that gave them, as artifacts."""
    counts = {"scored": scores.rows, "quarantined": _quarantined(scores.folder / QUARANTINE.name)}
    bands = _bands(scores)
    _leave_counts("night-counts", counts | {f"band {band}": count for band, count in bands.items()}, _title(night))
    for champion in champions.pinned:
        _leave_link(champion, _title(night))


def artifact_key(what: str, segment: str) -> str:
    """The key of a segment's artifact: Prefect takes lower-case letters, digits and dashes."""
    return what if segment == ALL else f"{what}-{re.sub('[^a-z0-9]+', '-', segment.lower()).strip('-')}"


def whom(segment: str) -> str:
    """The customers of a segment, or all, in words."""
    return "all" if segment == ALL else f"segment {segment}"


def _leave_link(champion: Pinned, title: str) -> None:
    folder = model_folder(champion.digest, current_settings())
    create_link_artifact(
        key=artifact_key("champion", champion.segment),
        link=folder.as_uri(),
        link_text=f"version {champion.version}",
        description=f"The model that scored {whom(champion.segment)} of {title}, digest {champion.digest}",
    )


@step("show the list")
@worth_no_failure("the counts and the top of the list")
def show_list(night: Night, outreach: Result) -> None:
    """Leaves everybody's status, counted, how the teams' places were used, and the top of the list as artifacts."""
    _leave_counts("outreach-counts", counts_in(outreach.folder / STATUSES.name, "status"), _title(night))
    create_table_artifact(
        key="outreach-teams",
        table=[{name: str(value) for name, value in row.items()} for row in _teams(outreach)],
        description=f"Teams, and what one more contact of each is worth, nearly so where a limit keeps back members "
        f"of a household that has several teams or a scarce channel: {_title(night)}",
    )
    create_table_artifact(
        key="outreach-top",
        table=[
            {name: str(value) for name, value in row.items() if not name.endswith("digest")} for row in _top(outreach)
        ],
        description=f"Top of the outreach list: {_title(night)}",
    )


def _leave_counts(key: str, counts: dict[str, int], title: str) -> None:
    table = [{"what": what, "customers": count} for what, count in counts.items()]
    create_table_artifact(key=key, table=table, description=f"Counts: {title}")


def _title(night: Night) -> str:
    return f"{night.base} as of {night.as_of}"


def _top(outreach: Result) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = rows_in(outreach.folder / OUTREACH.name).slice(0, TOP).to_pylist()
    return rows


def _teams(outreach: Result) -> list[dict[str, object]]:
    """How each team's places were used; nothing of a list that was published before there were teams."""
    folder = outreach.folder / TEAMS.name
    rows: list[dict[str, object]] = rows_in(folder).to_pylist() if folder.is_dir() else []
    return rows


def _places(night: Night, scores: Result, outreach: Result) -> dict[str, str]:
    settings = current_settings()
    return {
        "scores (Parquet)": str(scores.folder / SCORES.name),
        "outreach list (Parquet)": str(outreach.folder / OUTREACH.name),
        "everybody's status (Parquet)": str(outreach.folder / STATUSES.name),
        "tables and views": source_name(settings.database_url),
        "quality report": str(night.snapshot / PAGE),
        "models": str(settings.artifacts / "models"),
    }


def _bands(scores: Result) -> dict[str, int]:
    """How many customers are in each band, the highest first."""
    counts = counts_in(scores.folder / SCORES.name, "band")
    return {band: counts[band] for band in reversed(BANDS) if band in counts}


def _quarantined(folder: Path) -> int:
    return distinct_rows(rows_in(folder, ["file", "row"]))
