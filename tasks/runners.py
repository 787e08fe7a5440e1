"""How the flows run: on as many threads as the settings have cores, under names that say which night it is."""

from __future__ import annotations

from typing import Any

from prefect import runtime
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from store.settings import current_settings


def threads() -> TaskRunner[PrefectFuture[Any]]:
    """Threads, bounded: Prefect's own default has no limit, and buckets would fight for the cores."""
    return ThreadPoolTaskRunner(max_workers=current_settings().cores)  # type: ignore[return-value]  # its own subclass


def move_name() -> str:
    """What is done to the champions of which base."""
    asked = runtime.flow_run.parameters
    version = f" version {asked['version']}" if asked["version"] else ""
    return f"{asked['action']}{version} of {asked['contract']} for {asked['segments']}"


def run_name() -> str:
    """The contract and the date that was asked for; for a scheduled run the day it was due."""
    asked = runtime.flow_run.parameters
    due = runtime.flow_run.scheduled_start_time.astimezone(current_settings().zone).date()
    return f"{asked['contract']} as of {asked['as_of'] or due}"
