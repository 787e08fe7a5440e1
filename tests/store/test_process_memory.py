"""A process does without packages that libraries would import for nothing, and its threads share one heap."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

CODE = """
import sys
from store.process_memory import do_without
do_without("pandas")
import pyarrow as pa
import pyarrow.dataset
told = pa.array([1.5, None]).to_pylist(), pa.chunked_array([[2]]).to_numpy().tolist()
try:
    import pandas
except ModuleNotFoundError as missing:
    print(told, missing.name, "pandas" in sys.modules)
"""

THREADS = """
import ctypes
from threading import Thread
from store.process_memory import keep_one_heap
{keep}
threads = [Thread(target=lambda: bytearray(10_000)) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""


def test_arrow_makes_its_arrays_without_a_package_that_the_process_does_without():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "([1.5, None], [2]) pandas False"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not tell of their heaps")
def test_threads_share_one_heap_where_they_are_told_to():
    assert "Arena 1:" in heaps(THREADS.format(keep=""))
    assert "Arena 1:" not in heaps(THREADS.format(keep="keep_one_heap()"))


def heaps(program: str) -> str:
    """What the C library tells of the heaps of a process that ran this."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stderr
