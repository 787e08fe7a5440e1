"""How long a night takes and where the time goes: a simulated base, from its snapshot to published scores and list."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# Each step is some of the flow's tasks, by the beginning of their runs' names.
STEPS = {
    "extract": ("extract",),
    "snapshot": ("build what", "build bucket", "seal the snapshot"),
    "checks": ("check the",),
    "scoring": ("pin the", "score bucket", "draw the", "finish bucket"),
    "publish_files": ("claim the scores", "add the quarantine", "seal the files of scores"),
    "publish_tables": ("load the tables of scores", "show scores"),
    "outreach": (
        "claim the list",
        "decide whom",
        "seal the files of outreach",
        "load the tables of o",
        "show outreach",
    ),
}
COUNTED = ("snapshot", "checks", "scoring", "publish_files")  # from the extract to published Parquet
MONTHS = 8
TRAINED_ON = 20_000


def main() -> None:
    """Simulates, trains on a small base, runs a night of the large one, and prints where the time went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-night-") as home:
        os.environ["CHURN_HOME"] = home
        os.environ.setdefault("CHURN_MODE", "development")  # the models of a benchmark need no signature
        _settle()
        small, large = _simulated(home, TRAINED_ON, 24), _simulated(home, chosen.customers, MONTHS)
        _show(_measured(small, large))


def _settle() -> None:
    from store.settings import current_settings, settle_libraries

    settle_libraries(current_settings(), quiet=True)


def _simulated(home: str, customers: int, months: int) -> str:
    from churn.simulator import Simulation, blocks
    from store.simulated import write_simulation

    folder = Path(home) / f"source-{customers}-{months}"
    write_simulation(blocks(Simulation(customers, months)), str(folder), Path(f"{folder}-truth"))
    return str(folder)


def _measured(small: str, large: str) -> dict[str, float]:
    began = time.time()
    from flows.nightly import nightly
    from flows.retraining import retraining

    retraining(as_of="latest", source=small)
    called = time.time()
    state = nightly(as_of="latest", source=large, return_state=True)
    ended = time.time()
    runs = asyncio.run(_task_runs(state.state_details.flow_run_id))
    seconds = {f"seconds_{step}": _wall(runs, names) for step, names in STEPS.items()}
    counted = sum(seconds[f"seconds_{step}"] for step in COUNTED)
    summary = state.result()
    return {
        "customers": summary.scores.rows,
        "seconds_total": counted,
        **seconds,
        "seconds_night": ended - called,
        "peak_mb": _peak_mb(),
        "orchestrator_seconds": ended - called - sum(seconds.values()),
        "seconds_training": called - began,
    }


async def _task_runs(flow_run_id: Any) -> list[tuple[str, datetime, datetime]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    mine = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    async with get_client() as client:
        runs = await client.read_task_runs(flow_run_filter=mine, limit=200)
    return [(run.name, run.start_time, run.end_time) for run in runs if run.start_time and run.end_time]


def _wall(runs: list[tuple[str, datetime, datetime]], names: tuple[str, ...]) -> float:
    """The time during which at least one of the step's tasks ran."""
    spans = sorted((start, end) for name, start, end in runs if name.startswith(names))
    seconds, reached = 0.0, None
    for start, end in spans:
        begin = start if reached is None else max(start, reached)
        seconds += max(0.0, (end - begin).total_seconds())
        reached = end if reached is None else max(reached, end)
    return seconds


def _peak_mb() -> float:
    """This process and the largest of its children, one of which makes the checks."""
    return sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def _show(figures: dict[str, float]) -> None:
    table = Table(title=f"A night of {figures['customers']:,} customers; load {os.getloadavg()[0]:.1f}")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,.1f}")
    Console().print(table)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
