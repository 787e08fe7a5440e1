"""A process does without packages that libraries would import for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_arrow_makes_its_arrays_without_a_package_that_the_process_does_without():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "([1.5, None], [2]) pandas False"
