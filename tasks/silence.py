"""Finds out whether a run that fell silent is dead, before anybody starts it a second time beside itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from store.processes import is_running
from tasks.progress import warned
from tasks.server import Server, open_server
from tasks.step import LATER, step

BEAT = "prefect.flow-run.heartbeat"
BEGUN_WITH = "PREFECT__FLOW_RUN_ID"  # the worker gives it to the process of the run
# What becomes of a dead run; one in any other state has no process that could die. A pending one had not begun when its
# worker died, so that whichever flow it is may be handed out again. Should its process come up after all, the server
# lets one of the two begin.
ENDS = {"RUNNING": "CRASHED", "CANCELLING": "CANCELLED", "PENDING": "SCHEDULED"}
PAUSE = 2.0  # seconds between two looks


@step("see whether {run} lives", again_after=LATER)
def end_if_dead(run: str, patience: float) -> bool:
    """Marks a run that has no process here and does not beat within `patience` seconds as crashed; whether it did.

    One that never began is scheduled again. While the server was away nobody could beat, so that the silence before it
    came back says nothing.
    """
    began, end = datetime.now(UTC), time.monotonic() + patience
    with open_server() as server:
        while state := _state_if_silent(server, run, began):
            if time.monotonic() >= end:  # the last look is at most one pause old
                return _end(server, run, state)
            time.sleep(PAUSE)
    return False


def _state_if_silent(server: Server, run: str, since: datetime) -> str | None:
    """The state of a run of which nothing was heard after that; None where it lives, ended, or waits."""
    told = server.get(f"/flow_runs/{run}")
    state: str = told["state_type"]
    lives = state not in ENDS or _has_process(told) or _has_moved(told, since) or _has_beaten(server, run, since)
    return None if lives else state


def _has_process(run: dict[str, Any]) -> bool:
    pid = run["infrastructure_pid"] or ""
    return pid.isdecimal() and is_running(int(pid), f"{BEGUN_WITH}={run['id']}")


def _has_moved(run: dict[str, Any], since: datetime) -> bool:
    """Whether somebody began it after that; to ask that it stop says nothing of whether it lives."""
    return run["state_type"] != "CANCELLING" and datetime.fromisoformat(run["state"]["timestamp"]) > since


def _has_beaten(server: Server, run: str, since: datetime) -> bool:
    """Whether it did so itself after that; beats that waited for the server say when they were meant for it."""
    whose = {"event": {"name": [BEAT]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}
    asked = {"filter": whose | {"occurred": {"since": since.isoformat()}}, "limit": 1}
    return bool(server.post("/events/filter", asked)["events"])


def _end(server: Server, run: str, state: str) -> bool:
    """Whether the server took it; it lets no run crash that ended meanwhile."""
    message = "Neither a process nor a heartbeat; the process is dead, or its machine is."
    answer = server.post(f"/flow_runs/{run}/set_state", {"state": {"type": ENDS[state], "message": message}})
    if taken := bool(answer["status"] == "ACCEPT"):
        warned(f"Run {run}: {message}")
    return taken
