"""The folder in which the service's workers add up their figures, which Prometheus's client reads by a variable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from store.settings import Settings

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def clear_shared_folder(settings: Settings) -> Path:
    """An empty folder for the figures of the workers to be started: those of earlier ones would count for ever."""
    folder = settings.data / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)
    return folder


def shared_folder() -> str:
    """Where this process's workers add up; empty where it is the only one."""
    return os.environ.get(VARIABLE, "")
