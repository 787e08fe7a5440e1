"""Bounds the orchestrator's history: a task run costs its database about 18 KB, and a night has some dozens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.progress_page import part_shown
from tasks.server import open_server
from tasks.step import LATER, step

ENDED = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]
STEP = "remove old runs"


@step("remove what ended over {keep_days} days ago", again_after=LATER)
def remove_old_runs(keep_days: int) -> int:
    """Removes flow runs that ended before that, with their task runs; gives how many went."""
    before = datetime.now(UTC) - timedelta(days=keep_days)
    with open_server() as server:
        old = [run["id"] for run in server.found("/flow_runs", ended_before(before))]
        for run in old:
            server.delete(f"/flow_runs/{run}")
            part_shown(STEP, len(old))
    return len(old)


def ended_before(moment: datetime) -> dict[str, Any]:
    """The server's filter for flow runs that ended before a moment."""
    return {"flow_runs": {"state": {"type": {"any_": ENDED}}, "end_time": {"before_": moment.isoformat()}}}
