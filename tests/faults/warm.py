"""What each process would do once more: the forkserver imports this, and its children begin with it done."""

from __future__ import annotations

from tests.faults.nights import FIRST, scores_of

scores_of(FIRST, bucket=0)  # compiles the buckets' hash, and lets Arrow import pandas
