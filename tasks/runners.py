"""How the flows run: on as many threads as the settings have cores, under names that say which night it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from prefect import runtime
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from store.settings import current_settings


def threads() -> TaskRunner[PrefectFuture[Any]]:
    """Threads, bounded: Prefect's own default has no limit, and buckets would fight for the cores."""
    return ThreadPoolTaskRunner(max_workers=current_settings().cores)  # type: ignore[return-value]  # its own subclass


def move_name() -> str:
    """What is done to the champions of which base, and on which day."""
    asked = runtime.flow_run.parameters
    version = f" version {asked['version']}" if asked["version"] else ""
    return f"{asked['action']}{version} of {asked['contract']} for {asked['segments']}, {_due()}"


def dated(words: str) -> Callable[[], str]:
    """The words, with the run's parameters in their places, and the day: for what is done again and again."""

    def name() -> str:
        return f"{words.format(**runtime.flow_run.parameters)}, {_due()}"

    return name


def run_name() -> str:
    """The contract and the date that was asked for; for a scheduled run the day it was due."""
    asked = runtime.flow_run.parameters
    return f"{asked['contract']} as of {asked['as_of'] or _due()}"


def _due() -> date:
    """The day, in business time, on which the run was to start."""
    due: date = runtime.flow_run.scheduled_start_time.astimezone(current_settings().zone).date()
    return due
