"""Where the parts of a step run: on as many threads as the settings have cores."""

from __future__ import annotations

from typing import Any

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from store.settings import current_settings


def threads() -> TaskRunner[PrefectFuture[Any]]:
    """Threads, bounded: Prefect's own default has no limit, and buckets would fight for the cores."""
    return ThreadPoolTaskRunner(max_workers=current_settings().cores)  # type: ignore[return-value]  # its own subclass
