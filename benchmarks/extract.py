"""How many rows a second are taken in from each kind of source, and in how much memory."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from churn.buckets import bucket_of
from churn.simulator import Simulation, blocks
from store.contracts import read_contract
from store.settings import read_settings
from store.simulated import write_simulation
from store.source import Extract, extract

CONTRACT = "telco"


@dataclass(frozen=True, slots=True)
class Pace:
    """What taking one source in took."""

    kind: str
    rows: int
    seconds: float
    cpu_seconds: float
    digest: str

    @property
    def rows_per_second(self) -> int:
        """Rows of all tables a second."""
        return round(self.rows / self.seconds)


def main() -> None:
    """Takes the same simulated telecom in from each kind of source, and prints a table and a line of JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        sources = _sources(arguments, Path(scratch))
        bucket_of(pa.array(["C1"]), 16)  # compiles once, and is not what is measured
        paces = [_paced(kind, source, Path(scratch)) for kind, source in sources.items()]
    _print(paces)
    print(json.dumps(_facts(arguments.customers, paces)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--postgres", metavar="URL", help="an empty PostgreSQL database to try as well")
    return parser.parse_args()


def _sources(arguments: argparse.Namespace, scratch: Path) -> dict[str, str]:
    sources = {"sqlite": f"sqlite:///{scratch}/telco.db", "parquet": f"{scratch}/telco"}
    if arguments.postgres:
        sources["postgres"] = arguments.postgres
    for source in sources.values():
        write_simulation(blocks(Simulation(arguments.customers, arguments.months, seed=42)), source, scratch / "truth")
    return sources


def _paced(kind: str, source: str, scratch: Path) -> Pace:
    settings = read_settings({"CHURN_HOME": str(scratch / kind)})
    begun, cpu_begun = time.perf_counter(), time.process_time()
    taken: Extract = extract(read_contract(CONTRACT), source, settings)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    return Pace(kind, sum(taken.rows.values()), seconds, cpu_seconds, taken.digest)


def _print(paces: list[Pace]) -> None:
    table = Table("source", title="Rows taken in: read, checked, cast, split over buckets, written and hashed")
    for heading in ("rows", "seconds", "CPU seconds", "rows a second", "digest"):
        table.add_column(heading, justify="right")
    for pace in paces:
        figures = (f"{pace.rows:,}", f"{pace.seconds:.1f}", f"{pace.cpu_seconds:.1f}", f"{pace.rows_per_second:,}")
        table.add_row(pace.kind, *figures, pace.digest[:12])
    Console().print(table)


def _facts(customers: int, paces: list[Pace]) -> dict[str, int | bool]:
    return {
        "customers": customers,
        "rows": paces[0].rows,
        **{f"{pace.kind}_rows_per_s": pace.rows_per_second for pace in paces},
        "same_digest": len({pace.digest for pace in paces}) == 1,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
