"""The folder in which the service's workers add up their figures, which Prometheus's client reads by a variable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from store.settings import Settings

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def clear_shared_folder(settings: Settings, port: int) -> Path:
    """An empty folder for the figures of the workers of that port: those of earlier ones would count for ever.

    Each port has its own, since services of several bases may run beside each other.
    """
    folder = settings.data / "metrics" / str(port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)
    return folder


def shared_folder() -> str:
    """Where this process's workers add up; empty where it is the only one."""
    return os.environ.get(VARIABLE, "")
