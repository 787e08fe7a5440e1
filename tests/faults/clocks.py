"""Runs whose process has a wrong clock, as a machine has one whose time was set by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from threading import Event

from tests.faults.nights import Base, made_of, outcome, unit_of

_LIBRARY = Path(__file__).parents[2] / "scripts" / "faketime"
_SECONDS = 300


def outcomes(by: timedelta, base: Base, *nights: date) -> list[str]:
    """What becomes of the nights where the clock is wrong by that much; the last is claimed, and left at that."""
    program = f"from {__name__} import run; run()"
    words = [str(base.home), base.database_url, *map(str, nights)]
    environment = {**os.environ, **_wrong_clock(by)}
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    clock, *told = done.stdout.splitlines()
    assert 0 <= float(clock) - by.total_seconds() - began < _SECONDS
    return told


def _wrong_clock(by: timedelta) -> dict[str, str]:
    """The variables that put the clock of a process ahead of its time, or behind; what it waits for takes no longer."""
    library = subprocess.run([_LIBRARY], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return {"LD_PRELOAD": library, "FAKETIME": f"{by.total_seconds():+.0f}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def run() -> None:
    """The program of the process with the wrong clock, which it tells first."""
    # `time.sleep` names the moment to wake by the monotonic clock, which libfaketime takes for one of its own (EINVAL).
    time.sleep = lambda seconds: Event().wait(seconds)
    home, url, *nights = sys.argv[1:]
    publisher = Base(Path(home), url).publisher()
    *tried, claimed = map(date.fromisoformat, nights)
    print(time.time())
    for as_of in tried:
        print(outcome(publisher, as_of))
    publisher.claim(unit_of(claimed), made_of("first"))
