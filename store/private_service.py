"""Starts a service for one caller alone, which ends with him: see api/private.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Timer
from typing import IO, cast

from churn.errors import ServiceUnreachable
from store.service_client import Service
from store.service_settings import ONE_THREAD

START_SECONDS = 60.0  # it needs two, on a busy machine more


@contextmanager
def private_service(contract: str) -> Iterator[Callable[[], Service]]:
    """A service of the contract's customers, which begins to start; what it gives waits until that is done.

    ServiceUnreachable, from what it gives, where the service cannot start.
    """
    with TemporaryDirectory(prefix="churn-") as folder, TemporaryFile("w+", errors="replace") as complaints:
        process = _start(contract, Path(folder) / "keys", complaints)
        try:
            yield partial(_address, process, complaints)
        finally:
            process.kill()  # it holds nothing that an orderly end would save
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    cast("IO[str]", pipe).close()


def _start(contract: str, keys: Path, complaints: IO[str]) -> subprocess.Popen[str]:
    """A child out of reach of Ctrl-C, which ends where its input does: also where this process was killed."""
    return subprocess.Popen(  # noqa: S603 - a module of ours
        [sys.executable, "-m", "api.private", "--contract", contract, "--keys", str(keys)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        encoding="utf-8",
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
        process_group=0,
    )


def _address(process: subprocess.Popen[str], complaints: IO[str]) -> Service:
    alarm = Timer(START_SECONDS, process.kill)
    alarm.start()
    try:
        line = cast("IO[str]", process.stdout).readline()
    finally:
        alarm.cancel()
    if line:
        return Service(**json.loads(line))
    complaints.seek(0)
    says = complaints.read().strip()
    raise ServiceUnreachable(
        f"the night's own service did not start: {says or f'it ended with code {process.wait()}'}",
        to_do="See whether `churn serve` starts, or set CHURN_PARITY=off.",
    )
