"""F5: why no run is killed inside `DETACH ... CONCURRENTLY`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.long.tally import Tally
from tests.faults.long.trials import Ground

STORE = Path(__file__).parents[3] / "store"


def no_detaching(ground: Ground) -> Iterator[Tally]:
    """One line that counts nothing, for as long as the store detaches nothing."""
    why = "does not apply: a run's rows go by DROP TABLE in one short transaction, which a kill undoes"
    tally = Tally("F5", "PostgreSQL", remark=why)
    used = [path.name for path in sorted(STORE.glob("*.py")) if "DETACH PARTITION" in path.read_text(encoding="utf-8")]
    tally.broken += [f"{name} detaches partitions, and nobody kills it there" for name in used]
    yield tally
