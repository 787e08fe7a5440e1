"""A process that has just started loads a scorecard and scores with it at once, and with little more than NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from store.artifacts import save_model
from store.settings import Settings
from tests import models
from tests.house.test_house_rules import ROOT

HEAVY = ("sklearn", "pandas", "interpret", "shap", "skops", "prefect")
SECONDS = 0.3
STARTS = 3

ONE_CUSTOMER = """
import time
from churn.lookup import score_one
from store.artifacts import load_model
from store.settings import current_settings
model = load_model({digest!r}, current_settings())
first = score_one(model.card, model.probe.slice(0, 1).to_pylist()[0]).log_odds
took = time.process_time()
"""

A_TABLE = """
from churn.lookup import score
from store.artifacts import load_model
from store.settings import current_settings
model = load_model({digest!r}, current_settings())
first, took = score(model.card, model.probe).log_odds[0].item(), None
"""

AND_TELL = """
import json, sys
print(json.dumps([first, took, [name for name in {heavy!r} if name in sys.modules]]))
"""


@pytest.fixture
def digest(settings: Settings) -> str:
    return save_model(models.scorecard(), settings)


def test_the_first_score_of_a_process_needs_no_learning_library_and_is_there_at_once(digest: str, settings: Settings):
    def start() -> float:
        _, took, heavy = told(ONE_CUSTOMER, digest, settings)
        assert heavy == []
        return took

    start()  # writes the bytecode that the others find
    took = min(start() for _ in range(STARTS))
    assert took < SECONDS, f"{1_000 * took:.0f} ms of the processor's time from the interpreter's start"


def test_the_first_table_is_scored_alike_without_any_learning_library(digest: str, settings: Settings):
    first, _, heavy = told(A_TABLE, digest, settings)
    assert heavy == []
    assert first == told(ONE_CUSTOMER, digest, settings)[0]


def told(program: str, digest: str, settings: Settings) -> list[object]:
    """What a new process prints: the first score, the seconds of processor up to it, and the heavy modules it has."""
    home = settings.artifacts.parent
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "CHURN_HOME": str(home),
        "CHURN_MODE": "development",
        "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
        "OPENBLAS_NUM_THREADS": "1",  # as whoever answers single customers sets it; the threads' start would count too
    }
    code = program.format(digest=digest) + AND_TELL.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
