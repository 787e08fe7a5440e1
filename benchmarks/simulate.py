"""How many customer-months a CPU second simulates, alone and with writing: at least 400,000 are claimed."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from churn.simulator import Simulation, blocks
from store.simulated import write_simulation

MOST_WRITTEN = 100_000  # customers; a larger telecom only fills the disk


@dataclass(frozen=True, slots=True)
class Pace:
    """What one way of simulating took."""

    way: str
    customer_months: int
    cpu_seconds: float

    @property
    def per_cpu_second(self) -> int:
        """Customer-months a CPU second."""
        return round(self.customer_months / self.cpu_seconds)


def main() -> None:
    """Simulates, prints a table for people and a line of JSON for scripts."""
    arguments = _arguments()
    simulation = Simulation(arguments.customers, arguments.months, arguments.seed)
    smaller = Simulation(min(arguments.customers, MOST_WRITTEN), arguments.months, arguments.seed)
    sum(1 for _ in blocks(Simulation(1_000, 2)))  # what libraries do once
    alone = _paced("all seven tables in memory", simulation, lambda: _drawn(simulation))
    with tempfile.TemporaryDirectory() as scratch:
        written = [
            _paced(f"and written to {kind}", smaller, lambda to=to: _written(smaller, to, Path(scratch) / "truth"))
            for kind, to in (("Parquet", f"{scratch}/telco"), ("SQLite", f"sqlite:///{scratch}/telco.db"))
        ]
    _print([alone, *written])
    print(json.dumps(_facts(alone, *written)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def _drawn(simulation: Simulation) -> int:
    return sum(len(block["truth"]) for block in blocks(simulation))


def _written(simulation: Simulation, to: str, truth: Path) -> int:
    return write_simulation(blocks(simulation), to, truth)["truth"]


def _paced(way: str, simulation: Simulation, simulate: Callable[[], int]) -> Pace:
    begun = time.process_time()
    return Pace(f"{simulation.customers:,} customers, {way}", simulate(), time.process_time() - begun)


def _print(paces: list[Pace]) -> None:
    table = Table("simulated", title="Customer-months that a CPU second simulates")
    for heading in ("customer-months", "CPU seconds", "a CPU second"):
        table.add_column(heading, justify="right")
    for pace in paces:
        table.add_row(pace.way, f"{pace.customer_months:,}", f"{pace.cpu_seconds:.2f}", f"{pace.per_cpu_second:,}")
    Console().print(table)


def _facts(alone: Pace, parquet: Pace, sqlite: Pace) -> dict[str, float]:
    return {
        "customer_months": alone.customer_months,
        "cpu_seconds": round(alone.cpu_seconds, 3),
        "customer_months_per_cpu_s": alone.per_cpu_second,
        "customer_months_per_cpu_s_parquet": parquet.per_cpu_second,
        "customer_months_per_cpu_s_sqlite": sqlite.per_cpu_second,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
