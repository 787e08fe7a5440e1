"""Runs whose process has a wrong clock, as a machine has one whose time was set by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.faults.nights import Base, made_of, outcome, unit_of

_JUMP = "CLOCK_JUMP"
_SECONDS = 300
# The C library's clocks, those that tell the time of day, some seconds ahead of their time or behind it.
_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long jump(void) { return atol(getenv("CLOCK_JUMP")); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*really)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = really(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int (*really)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int failed = really(now, zone);
    if (!failed) now->tv_sec += jump();
    return failed;
}

time_t time(time_t *now) {
    time_t (*really)(time_t *) = dlsym(RTLD_NEXT, "time");
    time_t told = really(NULL) + jump();
    if (now) *now = told;
    return told;
}
"""


def wrong_clock(folder: Path) -> Path:
    """The library that makes a process's clock wrong; skips the test where no C compiler can make it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, and so no library that sets the clock of a process")
    library, source = folder / "clock.so", folder / "clock.c"
    source.write_text(_CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def outcomes(library: Path, by: timedelta, base: Base, *nights: date) -> list[str]:
    """What becomes of the nights where the clock is wrong by that much; the last is claimed, and left at that."""
    program = f"from {__name__} import run; run()"
    words = [str(base.home), base.database_url, *map(str, nights)]
    environment = {**os.environ, "LD_PRELOAD": str(library), _JUMP: str(int(by.total_seconds()))}
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


def run() -> None:
    """The program of the process with the wrong clock, which it tells first."""
    home, url, *nights = sys.argv[1:]
    publisher = Base(Path(home), url).publisher()
    *tried, claimed = map(date.fromisoformat, nights)
    print(time.time())
    for as_of in tried:
        print(outcome(publisher, as_of))
    publisher.claim(unit_of(claimed), made_of("first"))
