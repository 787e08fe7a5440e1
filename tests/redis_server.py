"""A Redis of a test's own, installed where it is missing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

SCRIPT = Path(__file__).parents[1] / "scripts" / "redis"


@contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address, and its process."""
    found = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(f"these tests need Redis, and it is not to be had:\n{found.stderr}", pytrace=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [found.stdout.strip(), "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--loglevel", "warning"]
    )
    try:
        url = f"redis://127.0.0.1:{port}/0"
        _until_it_answers(url)
        yield url, process
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for _ in range(100):
            try:
                client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.1)
    pytest.fail("redis-server does not answer", pytrace=False)
